"""What a method is built from, gathered from a cohort: the text side, the words to predict, the labels to learn.

Axes: s text, t word piece, d features.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from simcrop.config import Recipe, nearest
from simcrop.data.report import Report
from simcrop.data.samples.dataset import Texts, texts_of
from simcrop.data.samples.text_features import SentenceBank, build_bank
from simcrop.data.samples.tokenizer import Tokenizer
from simcrop.data.store.cohort import Cohort
from simcrop.errors import SimcropError
from simcrop.files.digest import digest_of_files
from simcrop.nn.text_encoder import TextEncoder, read_text_encoder
from simcrop.objectives.method import Components, TextNeeds
from simcrop.objectives.texts import encode_texts
from simcrop.weights.embedded import text_encoder_folder

REPORTS_AT_ONCE, SENTENCES_AT_ONCE = 32, 256


@dataclass(frozen=True, eq=False)
class TrainingInputs:
    """`components` of the network, `texts` for its batches; `texts` is None when the method reads none."""

    components: Components
    texts: Texts | None


def gather_inputs(cohort: Cohort, studies: Cohort, recipe: Recipe) -> TrainingInputs:
    """Read the text encoder and every report, when the method wants them."""
    needs = recipe.text_needs
    if needs is None:
        return TrainingInputs(Components(recipe.input.grid, patch_mm=recipe.input.patch_mm), None)
    folder = text_encoder_folder(recipe.text.model)
    tokenizer, text = Tokenizer.load(folder), read_text_encoder(folder, recipe.text.freeze)
    reports = [Report(study.findings, study.impression) for study in studies]
    if not any(texts_of(report, needs.unit) for report in reports):
        what = "a report" if needs.unit == "report" else "a sentence of findings"
        raise SimcropError(
            "no-reports",
            f"{cohort.path}: none of its {len(studies)} studies has {what}, and {recipe.method} learns "
            "from reports; put them into reports.csv beside the scans and ingest again",
        )
    bank = text_bank(reports, recipe, needs, text, tokenizer, cohort.path)
    vocabulary = None
    if needs.predicted == "compact":
        tokens = tokenizer.encode([report.text for report in reports], recipe.text.report_length)
        vocabulary = tokens.ids[tokens.mask].unique()
    components = Components(
        recipe.input.grid,
        text,
        tokenizer,
        vocabulary,
        center_of(bank) if needs.centred else None,
        recipe.input.patch_mm,
    )
    lengths = recipe.text.report_length, recipe.text_length
    return TrainingInputs(components, Texts(tokenizer, bank, *lengths, needs.unit, needs.predicted != "no"))


def text_bank(
    reports: Sequence[Report],
    recipe: Recipe,
    needs: TextNeeds,
    text: TextEncoder,
    tokenizer: Tokenizer,
    cohort: Path,
) -> SentenceBank:
    """All texts, encoded once when the text encoder is frozen; the cache's name tells what made it."""
    texts = [texts_of(report, needs.unit) for report in reports]
    if not recipe.text.freeze:
        return build_bank(texts, None)

    @torch.no_grad()
    def encode(chunk: list[str]) -> Tensor:
        return encode_texts(tokenizer.encode(chunk, recipe.text_length), text, needs.pool).float()

    weights = digest_of_files(text_encoder_folder(recipe.text.model) / "model.safetensors")[:12]
    sentences = needs.unit == "sentence"
    kind = "" if sentences else f"-{needs.unit}"
    cache = cohort / "sentences" / f"{weights}-{needs.pool}-{recipe.text_length}{kind}.safetensors"
    at_once = SENTENCES_AT_ONCE if sentences else REPORTS_AT_ONCE
    return build_bank(texts, encode, cache if recipe.text.cache_sentences else None, at_once)


def center_of(bank: SentenceBank) -> Tensor:
    """The mean text feature."""
    center = bank.center()
    if center is None:
        raise SimcropError("bad-setting", "center_text needs a frozen text encoder (text.freeze = true)")
    return center


def with_known_labels(recipe: Recipe, studies: Cohort) -> Recipe:
    """The recipe with the labels that it learns, by name; refused when the cohort knows none of them."""
    wanted = recipe.label_names
    if wanted is None:
        return recipe
    for name in wanted:
        if name not in studies.labels:
            raise SimcropError(
                "no-labels", f"{studies.path} has no label {name!r}{nearest(name, studies.labels)}"
            )
    names = wanted or tuple(studies.labels)
    if not any(study.labels[name] is not None for study in studies for name in names):
        raise SimcropError(
            "no-labels", f"{studies.path}: none of its {len(studies)} studies has a label to learn from"
        )
    return recipe.model_copy(update=recipe.label_settings(names))
