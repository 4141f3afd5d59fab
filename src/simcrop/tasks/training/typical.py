"""Made-up studies of ordinary length, for what a step costs and not for what it learns: noise-free scans, empty words.

Axes: x y z voxels, l label. Only shapes and lengths are real: those of the validation reports of CT-RATE.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import torch
from torch import Tensor

from simcrop.config import Recipe
from simcrop.data.organs import parts_of_organs
from simcrop.data.report import Report
from simcrop.data.samples.batch import Batch
from simcrop.data.samples.collate import Collate
from simcrop.data.samples.dataset import Sample
from simcrop.data.store.cohort import Cohort
from simcrop.data.store.schema import LABEL, LEDGER_SCHEMA
from simcrop.objectives.needs import Components
from simcrop.tasks.training.components import gather_inputs
from simcrop.tasks.training.organ_texts import read_said

# Medians of the 1,521 different validation reports of CT-RATE, in word pieces of MiniLM's vocabulary: 15 sentences, 287
# pieces of findings and 334 of findings and impression, [CLS] and [SEP] among them.
SENTENCES, SENTENCE_WORDS, IMPRESSION_WORDS = 15, 18, 46  # and a full stop, a piece by itself
LABELS = tuple(f"label {number}" for number in range(18))  # as many as CT-RATE has
CLASSES = "left lung", "right lung", "trachea"  # of LUNA16
WORDS = ["the", "left", "lung", "and", "right", "lower", "upper", "in", "is", "no", "of", "not"]


@dataclass(frozen=True, eq=False)
class Typical:
    """`recipe` as it trains, its labels and classes known by name; `components` of its network; `batch` on the
    processor, with nothing drawn.
    """

    recipe: Recipe
    components: Components
    batch: Batch


def typical(recipe: Recipe, scans: int) -> Typical:
    """What training this recipe begins with, for so many made-up scans. The text encoder is the recipe's own."""
    text = recipe.text.model_copy(update={"cache_sentences": False})
    changes = {"text": text}
    if recipe.label_names is not None:
        changes |= recipe.label_settings(recipe.label_names or LABELS)
    if recipe.window_needs is not None:
        changes |= recipe.class_settings(recipe.class_names or CLASSES)
    recipe = recipe.model_copy(update=changes)
    cohort = made_up_cohort(recipe, scans)
    inputs = gather_inputs(cohort, cohort, recipe)
    collate = Collate(inputs.texts, recipe.label_names or (), recipe.wants_masks, recipe.extra)
    batch = collate([made_up_sample(cohort, recipe, number) for number in range(scans)])
    if not isinstance(batch, Batch):
        raise batch
    return Typical(recipe, inputs.components, batch)


def made_up_cohort(recipe: Recipe, scans: int) -> Cohort:
    """Their index alone: nothing is stored anywhere."""
    names, scans_named = recipe.label_names or (), named_scans(recipe, scans)
    reports = [made_up_report(number) for number in range(scans)]
    index = pl.DataFrame(
        {
            "id": [f"made-up-{number}" for number in range(scans)],
            "scan": scans_named,
            "patient": [str(number) for number in range(scans)],
            "findings": [report.findings for report in reports],
            "impression": [report.impression for report in reports],
            **{LABEL + name: [number % 2 for number in range(scans)] for name in names},
        }
    )
    return Cohort(
        Path("made-up"),
        recipe.input.spacing_mm,
        recipe.input.window_hu,
        index,
        pl.DataFrame(schema=LEDGER_SCHEMA),
        classes=dict(enumerate(classes_of(recipe), 1)),
    )


def named_scans(recipe: Recipe, scans: int) -> list[str]:
    """What they are called: as those of a JSON of texts, where the recipe names one."""
    needs = recipe.text_needs
    said = needs.organs.descriptions if needs is not None and needs.organs is not None else None
    known = [] if said is None else list(read_said(said))
    return [*known, *(f"made-up-{number}" for number in range(scans))][:scans]


def classes_of(recipe: Recipe) -> tuple[str, ...]:
    """Of the masks: those that are learned, or what the wanted organs are made of."""
    needs = recipe.text_needs
    if needs is None or needs.organs is None:
        return recipe.class_names or CLASSES
    return tuple(part for name in needs.organs.names for part in sorted(parts_of_organs()[name]))


def made_up_report(number: int) -> Report:
    """Of median length, no two sentences alike."""
    random = np.random.default_rng(number)

    def sentence(words: int) -> str:
        return " ".join(random.choice(WORDS, words)).capitalize() + "."

    return Report(" ".join(sentence(SENTENCE_WORDS) for _ in range(SENTENCES)), sentence(IMPRESSION_WORDS))


def made_up_sample(cohort: Cohort, recipe: Recipe, number: int) -> Sample:
    """A crop, or a window, of soft tissue; where it has a mask, slabs of all classes, one above the other."""
    row, shape, scale = cohort.index.row(number, named=True), recipe.input.shape, recipe.fine_scale
    scan = torch.zeros(1, *shape, dtype=torch.int16)
    fine = torch.zeros(1, *(n * scale for n in shape), dtype=torch.int16) if scale > 1 else None
    return Sample(
        row["id"],
        scan,
        Report(row["findings"], row["impression"]),
        {name: row[LABEL + name] for name in cohort.labels},
        slabs(scan, len(cohort.classes)) if recipe.wants_masks else None,
        recipe.input.window_hu,
        seed=number,
        fine=fine,
    )


def slabs(scan: Tensor, classes: int) -> Tensor:
    """A label volume that is 0 at the feet and the last class at the head."""
    numbers = (torch.arange(scan.shape[-1]) * (classes + 1) // scan.shape[-1]).to(scan.dtype)
    return numbers.expand_as(scan).clone()
