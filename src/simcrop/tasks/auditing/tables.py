"""What scans answered to `simcrop audit`, as tables of numbers: no words of a report, no name of a scan or a patient.

Axes: s scan, n patch. `scan` is a row of the cohort's index, `patient` a number, `sentence` counts from 0 in a report.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import polars as pl

from simcrop.data.samples.dataset import placement_of
from simcrop.data.store.cohort import Cohort, Study
from simcrop.errors import SimcropError
from simcrop.evaluation.asking import read_mask
from simcrop.evaluation.lesions import lesion_shares
from simcrop.evaluation.pointing_game import TOUCHES
from simcrop.evaluation.truth import KnownSentence, Truth
from simcrop.evaluation.wording.audit import Answers
from simcrop.evaluation.wording.perturb import ALSO_TRUE, NO_RULE, PERTURBATIONS, Changed, covered, places_of
from simcrop.model import Model
from simcrop.tasks.auditing.asked import Answered, AskedScan

OTHER_SCAN = "other scan"
KNOWN = ("hit", "hit_changed", "other", "other_changed", "elsewhere")
COLUMNS = {
    "scan": pl.Int64,
    "patient": pl.Int64,
    "sentence": pl.Int64,
    "kind": pl.String,
    "change": pl.String,
    "score": pl.Float64,
    "score_changed": pl.Float64,
    "score_elsewhere": pl.Float64,
    "score_changed_elsewhere": pl.Float64,
    **dict.fromkeys(KNOWN, pl.Float64),
}
OTHER_SIDE = {"left": "right", "right": "left"}


def sentence_table(
    studies: Cohort,
    places: np.ndarray,
    asked: Sequence[AskedScan],
    answered: Answered,
    model: Model,
    truth: Truth | None,
) -> pl.DataFrame:
    """A row per sentence and change that was made of it; `places`: rows of the scans in the cohort's index."""
    number = np.unique(studies.index["patient"].to_numpy(), return_inverse=True)[1]
    rows: list[dict[str, Any]] = []
    for i, scan in enumerate(asked):
        touching = Touching(studies[i], truth, scan, model)
        for of in scan.changed:
            own = {"scan": int(places[i]), "patient": int(number[i]), "sentence": of.number, "kind": of.kind}
            for name, text in of.texts.items():
                scores = {
                    "score": answered.score(i, of.text),
                    "score_changed": answered.score(i, text),
                    "score_elsewhere": answered.score(scan.partner, of.text),
                    "score_changed_elsewhere": answered.score(scan.partner, text),
                }
                nearest = answered.patch(i, of.text), answered.patch(i, text)
                rows.append(own | {"change": name} | scores | touching.hits(of, name, text, *nearest))
            if of.claim == "asserts" and asked_elsewhere(asked, scan, of.text):
                scores = {
                    "score": answered.score(i, of.text),
                    "score_changed": answered.score(scan.partner, of.text),
                }
                rows.append(own | {"change": OTHER_SCAN} | scores)
    return pl.DataFrame(rows, schema=COLUMNS)


def asked_elsewhere(asked: Sequence[AskedScan], scan: AskedScan, text: str) -> bool:
    """Whether the other patient's report does not say the same."""
    return scan.partner is not None and not covered(text, asked[scan.partner].report)


def left_out(asked: Sequence[AskedScan]) -> dict[str, dict[str, int]]:
    """For each change, how many sentences it was made of and why not of the others."""
    counts = {}
    for name, perturbation in PERTURBATIONS.items():
        those = [of for scan in asked for of in scan.changed if of.claim == perturbation.claim]
        why = [of.left_out.get(name) for of in those]
        counts[name] = {
            "sentences": len(those),
            "applied": why.count(None),
            "no_rule": why.count(NO_RULE),
            "also_true": why.count(ALSO_TRUE),
        }
    those = [(scan, text) for scan in asked for text in scan.there]
    alone = sum(scan.partner is None for scan, _ in those)
    applied = sum(asked_elsewhere(asked, scan, text) for scan, text in those)
    counts[OTHER_SCAN] = {
        "sentences": len(those),
        "applied": applied,
        "no_rule": alone,
        "also_true": len(those) - alone - applied,
    }
    return counts


def presence_table(
    studies: Cohort, places: np.ndarray, asked: Sequence[AskedScan], answered: Answered
) -> pl.DataFrame:
    """A row per sentence that was asked of a scan: `there`, `denied` by its report, or `lacking`."""
    number = np.unique(studies.index["patient"].to_numpy(), return_inverse=True)[1]

    def rows() -> Iterator[tuple[int, int, str, float, float]]:
        for i, scan in enumerate(asked):
            for what, texts in (("there", scan.there), ("denied", scan.denied), ("lacking", scan.lacking)):
                for text in texts:
                    scores = answered.score(i, text), answered.score(scan.partner, text)
                    yield int(places[i]), int(number[i]), what, *scores

    schema = {name: COLUMNS[name] for name in ("scan", "patient")} | {
        "what": pl.String,
        "score": pl.Float64,
        "score_elsewhere": pl.Float64,
    }
    return pl.DataFrame(list(rows()), schema=schema, orient="row")


def answers_in(table: pl.DataFrame, change: str) -> Answers:
    """The rows of one change."""
    of = table.filter(pl.col("change") == change)
    figures = [of[name].fill_null(float("nan")).to_numpy() for name in COLUMNS if name.startswith("score")]
    known = {name: of[name].fill_null(float("nan")).to_numpy() for name in KNOWN}
    return Answers(of["kind"].to_numpy(), of["patient"].to_numpy(), *figures, **known)


class Touching:
    """Which patches of one scan touch which of its findings; nothing is known without truth."""

    def __init__(self, study: Study, truth: Truth | None, scan: AskedScan, model: Model) -> None:
        self.known = {of.sentence_index: of for of in truth.of(study.id)} if truth else {}
        if self.known and max(self.known) >= len(scan.report):
            raise SimcropError("bad-truth", "a report is not the one that the truth describes")
        values = sorted({of.mask_value for of in self.known.values() if of.shows})
        self.patches: dict[int, np.ndarray] = {}
        if truth and values:
            mask, placement = read_mask(truth.mask_path(study.id)), placement_of(study, model.spec)
            shares = lesion_shares(mask, values, placement, model.grid) > TOUCHES
            self.patches = {value: of for value, of in zip(values, shares, strict=True) if of.any()}

    def hits(self, of: Changed, name: str, text: str, nearest: int, nearest_changed: int) -> dict[str, float]:
        """Where the true sentence and the changed one point, and what lies where the changed one says."""
        sentence = self.known.get(of.number)
        if sentence is None or not sentence.shows or of.claim != "asserts":
            return {}
        found = dict[str, float]()
        if sentence.mask_value in self.patches:
            own = self.patches[sentence.mask_value]
            found |= {"hit": float(own[nearest]), "hit_changed": float(own[nearest_changed])}
        if PERTURBATIONS[name].moved:
            alike = [other for other in self.known.values() if other.finding == sentence.finding]
            there = [other for other in alike if lies(other, name, sentence, text)]
            found["elsewhere"] = float(bool(there))
            target = [
                self.patches[other.mask_value]
                for other in there
                if other.mask_value in self.patches and not (name == "side" and other.side == "both")
            ]
            if target:
                reached = np.any(target, axis=0)
                found |= {"other": float(reached[nearest]), "other_changed": float(reached[nearest_changed])}
        return found


def lies(other: KnownSentence, name: str, sentence: KnownSentence, text: str) -> bool:
    """Whether a finding of the same kind lies where the changed sentence says."""
    if name == "side":
        return other.side in (OTHER_SIDE.get(sentence.side or ""), "both")
    here = other.side == sentence.side or "both" in (other.side, sentence.side)
    return here and other.lobe in places_of(text)[1]
