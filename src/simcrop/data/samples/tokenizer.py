"""A report as word pieces: the vocabulary, the token ids, and which words are masked.

b: text in the batch, t: token in the text ([CLS] pieces [SEP], then padding).
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import tokenizers
import torch
from jaxtyping import Bool, Float, Int
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from torch import Tensor

from simcrop.errors import SimcropError

REPORT_LENGTH = 512  # tokens; BERT has no positions beyond
SENTENCE_LENGTH = 64  # tokens
MASKED_SHARE = 0.75

PAD, UNKNOWN, CLS, SEP, MASK = "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"
SPECIAL = (PAD, UNKNOWN, CLS, SEP, MASK)


@dataclass(frozen=True, eq=False)
class Tokens:
    """Texts as ids. `mask`: a real token, not padding; `word`: which word of its text a piece belongs to, from 0,
    -1 for special tokens and padding. `lengths`: real tokens of each text, which a processor thus knows without waiting
    for a card; empty where not known."""

    ids: Int[Tensor, "b t"]
    mask: Bool[Tensor, "b t"]
    word: Int[Tensor, "b t"]
    lengths: tuple[int, ...] = ()

    def to(self, device: torch.device | str) -> "Tokens":
        return self.each(lambda tensor: tensor.to(device, non_blocking=True))

    def each(self, change: Callable[[Tensor], Tensor]) -> "Tokens":
        """`change` leaves the texts in their order, or takes some away; then their lengths are not known any more."""
        ids = change(self.ids)
        lengths = self.lengths if len(self.lengths) == len(ids) else ()
        return Tokens(ids, change(self.mask), change(self.word), lengths)


@dataclass(frozen=True, eq=False)
class MaskedTokens:
    """The ids the model sees, and where it has to guess."""

    ids: Int[Tensor, "b t"]
    masked: Bool[Tensor, "b t"]


@dataclass(frozen=True)
class Tokenizer:
    """BERT's WordPiece over `vocabulary`, whose order gives the ids."""

    vocabulary: tuple[str, ...]
    lower_case: bool = True

    def __post_init__(self) -> None:
        missing = [token for token in SPECIAL if token not in self.vocabulary]
        if missing:
            raise SimcropError("no-vocabulary", f"the vocabulary lacks {', '.join(missing)}: expected BERT's")
        if len(set(self.vocabulary)) < len(self.vocabulary):
            raise SimcropError("no-vocabulary", "the vocabulary lists a token twice: expected each once")

    @classmethod
    def load(cls, folder: str | Path) -> "Tokenizer":
        """From a folder with `vocab.txt` or `tokenizer.json`; `tokenizer_config.json` may say `do_lower_case`."""
        folder = Path(folder)
        vocabulary, lower_case = _read_vocabulary(folder)
        settings = folder / "tokenizer_config.json"
        if settings.is_file():
            lower_case = bool(_read_json(settings).get("do_lower_case", lower_case))
        try:
            return cls(vocabulary, lower_case)
        except SimcropError as error:
            raise SimcropError(error.reason, f"{folder}: {error.sentence}") from None

    def save(self, folder: str | Path) -> None:
        """Write `vocab.txt` and `tokenizer_config.json`; `load` reads them back, and so does `transformers`."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        vocabulary = "".join(f"{token}\n" for token in self.vocabulary)
        (folder / "vocab.txt").write_text(vocabulary, encoding="utf-8", newline="\n")
        settings = {"do_lower_case": self.lower_case, "tokenizer_class": "BertTokenizer"}
        (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")

    @property
    def size(self) -> int:
        return len(self.vocabulary)

    @cached_property
    def pad_id(self) -> int:
        return self.vocabulary.index(PAD)

    @cached_property
    def unknown_id(self) -> int:
        return self.vocabulary.index(UNKNOWN)

    @cached_property
    def cls_id(self) -> int:
        return self.vocabulary.index(CLS)

    @cached_property
    def sep_id(self) -> int:
        return self.vocabulary.index(SEP)

    @cached_property
    def mask_id(self) -> int:
        return self.vocabulary.index(MASK)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the vocabulary and its case: equal exactly if every text gets the same ids."""
        text = "\n".join(self.vocabulary) + ("" if self.lower_case else "\ncased")
        return hashlib.sha256(text.encode()).hexdigest()

    @cached_property
    def _splitter(self) -> tokenizers.Tokenizer:
        ids = {token: index for index, token in enumerate(self.vocabulary)}
        splitter = tokenizers.Tokenizer(WordPiece(ids, unk_token=UNKNOWN, max_input_chars_per_word=100))
        splitter.normalizer = BertNormalizer(lowercase=self.lower_case)
        splitter.pre_tokenizer = BertPreTokenizer()
        return splitter

    @cached_property
    def _ordinary(self) -> Int[Tensor, " ordinary"]:
        """The ids that are pieces of language, for random replacement."""
        odd = (*SPECIAL, "[unused")
        return torch.tensor([i for i, token in enumerate(self.vocabulary) if not token.startswith(odd)])

    def encode(self, texts: Sequence[str], max_length: int = REPORT_LENGTH) -> Tokens:
        """Ids of each text, cut at `max_length` and padded to the longest; an empty text is [CLS] [SEP].

        One text at a time: the library's own batching starts threads, which a forked data loader cannot bear.
        """
        if max_length < 2:
            raise ValueError(f"expected room for [CLS] and [SEP] at least, got max_length {max_length}")
        rows = [self._splitter.encode(text, add_special_tokens=False) for text in texts]
        longest = min(max_length, max((len(row.ids) for row in rows), default=0) + 2)
        ids = torch.full((len(rows), longest), self.pad_id)
        word = torch.full((len(rows), longest), -1)
        mask = torch.zeros((len(rows), longest), dtype=torch.bool)
        for i, row in enumerate(rows):
            count = min(len(row.ids), max_length - 2)
            ids[i, : count + 2] = torch.tensor([self.cls_id, *row.ids[:count], self.sep_id])
            word[i, 1 : count + 1] = _word_of_piece(row.tokens[:count])
            mask[i, : count + 2] = True
        return Tokens(ids, mask, word, tuple(mask.sum(1).tolist()))


def mask_tokens(
    tokens: Tokens,
    tokenizer: Tokenizer,
    draws: Float[Tensor, "b t 3"],
    ratio: float = MASKED_SHARE,
    unit: Literal["word", "token"] = "word",
    replace: Literal["mask_only", "bert"] = "mask_only",
) -> MaskedTokens:
    """Mask each word (or each piece) with probability `ratio`, and at least one in every text that has any.

    `draws` come from [0, 1) for each position independently, in double precision so that two words never tie; the
    first of the three decides what is masked. `bert` shows [MASK] at 80 % of the masked pieces, a random piece at
    10 %, the true one at 10 %.
    """
    if not 0 < ratio <= 1:
        raise ValueError(f"expected a share of masked words above 0 and at most 1, got {ratio}")
    draw, lot, piece = draws.unbind(-1)
    if unit == "word":
        draw = draw.gather(1, tokens.word.clamp(min=0))
    draw = draw.masked_fill(tokens.word < 0, 2.0)  # beyond every ratio: special tokens and padding stay

    lowest = draw.amin(dim=1, keepdim=True)  # the first to be masked, whatever the ratio
    masked = ((draw < ratio) | (draw == lowest)) & (tokens.word >= 0)

    shown = torch.full_like(tokens.ids, tokenizer.mask_id)
    if replace == "bert":
        ordinary = tokenizer._ordinary.to(tokens.ids.device)
        shown = torch.where(lot >= 0.8, ordinary[(piece * len(ordinary)).long()], shown)
        shown = torch.where(lot >= 0.9, tokens.ids, shown)
    return MaskedTokens(torch.where(masked, shown, tokens.ids), masked)


def _word_of_piece(pieces: Sequence[str]) -> Int[Tensor, " t"]:
    """A word is a piece that starts one and the `##` pieces after it."""
    starts = torch.tensor([not piece.startswith("##") for piece in pieces], dtype=torch.long)
    return starts.cumsum(0) - 1


def _read_vocabulary(folder: Path) -> tuple[tuple[str, ...], bool]:
    """The tokens in the order of their ids, and whether text is lower-cased as far as the file says."""
    listed, described = folder / "vocab.txt", folder / "tokenizer.json"
    if listed.is_file():
        return tuple(_read_text(listed).removesuffix("\n").split("\n")), True
    if not described.is_file():
        sentence = f"{folder} has no vocab.txt and no tokenizer.json: expected the folder of a BERT tokenizer"
        raise SimcropError("no-vocabulary", sentence)
    content = _read_json(described)
    model, normalizer = content.get("model"), content.get("normalizer")
    ids = model.get("vocab") if isinstance(model, dict) and model.get("type") == "WordPiece" else None
    if not isinstance(ids, dict) or sorted(ids.values()) != list(range(len(ids))):
        raise SimcropError("no-vocabulary", f"{described} is not a WordPiece tokenizer: expected BERT's")
    lower_case = not isinstance(normalizer, dict) or bool(normalizer.get("lowercase", True))
    return tuple(sorted(ids, key=ids.__getitem__)), lower_case


def _read_json(path: Path) -> dict[str, object]:
    try:
        content = json.loads(_read_text(path))
    except json.JSONDecodeError:
        raise SimcropError(
            "no-vocabulary", f"{path} is not JSON: expected a tokenizer's description"
        ) from None
    if not isinstance(content, dict):
        raise SimcropError(
            "no-vocabulary", f"{path} is not a JSON object: expected a tokenizer's description"
        )
    return content


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise SimcropError(
            "no-vocabulary", f"{path} is not UTF-8 text: expected a tokenizer's file"
        ) from None
    except OSError as error:
        raise SimcropError("no-vocabulary", f"cannot read {path}: {error.strerror}") from None
