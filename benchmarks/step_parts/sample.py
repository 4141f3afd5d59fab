"""A made-up study of real size: noise for a scan, ordinary words for a report, and the network that trains on it.

Axes: x y z voxels, t word piece, s sentence. Nothing here means anything; only shapes, lengths and ranges are real.
"""

import random
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from simcrop.config import Recipe, load_recipe
from simcrop.data.samples.batch import Batch, Sentences, image_indices
from simcrop.data.samples.tokenizer import Tokenizer, Tokens
from simcrop.nn.bert import Bert, bert_shape
from simcrop.nn.text_encoder import TextEncoder, read_text_encoder
from simcrop.objectives.simcrop import SimCroP
from simcrop.weights.embedded import text_encoder_folder

SENTENCES, WORDS = 14, 11  # CT-RATE's findings: about 14 sentences, 200 word pieces in all
SENTENCE_LENGTH = 64


@dataclass(frozen=True)
class Setup:
    """`cached`: sentence features known beforehand, as a frozen encoder allows; `padded`: the tokens to encode anew."""

    recipe: Recipe
    objective: SimCroP
    cached: Batch
    padded: Batch


def make_setup(
    recipe: Recipe, text_width: int, device: torch.device, seed: int = 0, studies: int = 1
) -> Setup:
    """Network and one batch; `text_width` 384 is the embedded MiniLM, 768 a random BERT-base."""
    torch.manual_seed(seed)
    folder = text_encoder_folder("minilm")
    tokenizer = Tokenizer.load(folder)
    text = read_text_encoder(folder) if text_width == 384 else random_bert(text_width, tokenizer.size)
    objective = SimCroP(recipe, recipe.input.grid, text, tokenizer).to(device).train()
    reports = [made_up_sentences(tokenizer, seed + i) for i in range(studies)]
    texts = [sentence for report in reports for sentence in report]
    tokens = tokenizer.encode(texts, SENTENCE_LENGTH)
    sentences = Sentences(
        image_indices([len(report) for report in reports]),
        torch.arange(len(texts)),
        torch.full((len(texts),), 0.01),
        tokens=padded(tokens, tokenizer.pad_id),
    )
    volume = torch.rand(studies, 1, *recipe.input.shape) * 2 - 1
    whole = tokenizer.encode([" ".join(report) for report in reports], recipe.text.report_length)
    batch = Batch(("made-up",) * studies, volume, whole, sentences, seeds=tuple(range(studies)))
    batch = objective.draw(batch, seed).to(device)
    with torch.no_grad():
        features = objective.encode(tokens.to(device)).float()
    cached = Sentences(
        batch.sentences.image_index,
        batch.sentences.sentence_id,
        batch.sentences.document_frequency,
        features=features,
        most=SENTENCES,
    )
    return Setup(recipe, objective, replace(batch, sentences=cached), batch)


def sized_recipe(size: str) -> Recipe:
    """The shipped recipe of that size, as it trains one study at a time."""
    return load_recipe(f"simcrop-{size}", ["optim.batch=1"])


def random_bert(width: int, vocabulary: int) -> TextEncoder:
    """CXR-BERT's shape with random weights: for timing only."""
    shape = {
        "hidden_size": width,
        "num_hidden_layers": 12,
        "num_attention_heads": width // 64,
        "intermediate_size": 4 * width,
        "vocab_size": vocabulary,
    }
    bert = Bert(bert_shape(shape))
    for parameter in bert.parameters():
        if parameter.ndim > 1:
            nn.init.normal_(parameter, std=0.02)
    return TextEncoder(shape, bert.state_dict())


def made_up_sentences(tokenizer: Tokenizer, seed: int) -> list[str]:
    words = [w for w in tokenizer.vocabulary if w.isascii() and w.isalpha() and len(w) > 3]
    chance = random.Random(seed)
    return [" ".join(chance.choices(words, k=WORDS + i % 5)) + "." for i in range(SENTENCES)]


def padded(tokens: Tokens, pad_id: int) -> Tokens:
    """Every sentence as long as the longest that is allowed, as the public loaders give them."""

    def longer(x: Tensor, value: int) -> Tensor:
        return pad(x, (0, SENTENCE_LENGTH - x.shape[1]), value=value)

    return Tokens(longer(tokens.ids, pad_id), longer(tokens.mask, 0), longer(tokens.word, -1))
