"""Which sentences are asked where they are seen, and what is known of it: from a truth, from what a data set marks, or
from a table of one's own.

No axes; levels in mm of the patient, up (RAS+ z).
"""

import csv
import io
import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from simcrop.data.findings import CATEGORIES
from simcrop.data.label_volume import LARGEST
from simcrop.data.report import sentences
from simcrop.data.store.cohort import Cohort, Study
from simcrop.data.store.findings import MarkedFinding
from simcrop.errors import SimcropError
from simcrop.evaluation.asking import draw_questions, read_mask
from simcrop.evaluation.foreign import AskedRows
from simcrop.evaluation.truth import Truth
from simcrop.evaluation.wording.marks import mark_of
from simcrop.evaluation.wording.perturb import found_in, kind_of, places_of

SIDES = ("left", "right", "both")
COLUMNS = ("scan", "sentence", "value", "level_mm", "finding", "side")
MOST_BYTES = 200_000_000


@dataclass(frozen=True)
class GroundQuestion:
    """A sentence about one scan. `number`: counts within the scan; `values`: of its voxels in the mask, several where
    masks overlap, none where only its `level_mm` is known; `swapped`: one about a finding that the scan lacks, if there
    is any; `complete`: whether all that it speaks of is marked, so that what is not marked is not it.
    """

    study: str
    patient: str
    number: int
    kind: str
    side: str
    values: tuple[int, ...]
    level_mm: float | None
    text: str
    swapped: str | None
    complete: bool = True


@dataclass(frozen=True, eq=False)
class ScanQuestions:
    """Questions by study; `mask` reads the label volume that their values are of, on the grid of the scan's file;
    `lies_at`: the file of one that is not in the cohort.
    """

    questions: Mapping[str, tuple[GroundQuestion, ...]]
    mask: Callable[[Study], np.ndarray]
    lies_at: Callable[[str], Path] | None = None

    def __len__(self) -> int:
        return sum(map(len, self.questions.values()))


def asked_of_truth(studies: Cohort, truth: Truth, seed: int) -> ScanQuestions:
    """Every sentence of the reports that shows a lesion."""
    known = [(study, shown) for study in studies for shown in truth.of(study.id) if shown.shows]
    found = defaultdict[str, list[GroundQuestion]](list)
    for (study, shown), drawn in zip(known, draw_questions(studies, truth, seed), strict=True):
        own = found[study.id]
        own.append(
            GroundQuestion(
                study.id,
                study.patient,
                shown.sentence_index,
                drawn.kind,
                shown.side or "",
                (drawn.mask_value,),
                None,
                drawn.text,
                drawn.swapped,
            )
        )
    return ScanQuestions(by_study(found), partial(mask_of_truth, truth), truth.mask_path)


def mask_of_truth(truth: Truth, study: Study) -> np.ndarray:
    return read_mask(truth.mask_path(study.id))


def asked_of_findings(
    studies: Cohort, findings: Mapping[str, Sequence[MarkedFinding]], seed: int
) -> ScanQuestions:
    """The sentences that a data set marks in these studies, which may overlap; kinds are its categories."""
    rows = [
        {
            "scan": study,
            "number": finding.number,
            "sentence": finding.text,
            "values": finding.values,
            "level_mm": None,
            "finding": CATEGORIES.get(finding.category, finding.category),
            "side": side_of(finding.text),
            "complete": finding.complete,
        }
        for study in studies.index["id"]
        for finding in findings.get(study, ())
        if finding.values
    ]
    return asked_of_rows(studies, rows, seed)


def asked_of_rows(studies: Cohort, rows: Sequence[Mapping[str, Any]], seed: int) -> ScanQuestions:
    """Each row about these studies as a question, its values of the cohort's own masks, beside one that is drawn from
    other patients' rows, about what neither the rows nor the report nor the labels of the scan say it has.
    """
    known = {study.id: study for study in studies}
    rows = [row for row in rows if row["scan"] in known]
    has = {
        name: set(found_in(said_of(known[name]), known[name].labels)) for name in {r["scan"] for r in rows}
    }
    for row in rows:
        has[row["scan"]].add(row["finding"])
    rng, found = np.random.default_rng((seed, 4)), defaultdict[str, list[GroundQuestion]](list)
    pool = [row for row in rows if row["finding"]]
    others = AskedRows((known[row["scan"]].patient, row["finding"]) for row in pool)
    for row in rows:
        study = known[row["scan"]]
        foreign = others.foreign(study.patient, has[study.id])
        swapped = pool[foreign[int(rng.integers(len(foreign)))]]["sentence"] if len(foreign) else None
        own = found[study.id]
        told = (row["finding"], row["side"], row["values"], row["level_mm"], row["sentence"], swapped)
        number, complete = row.get("number", len(own)), row.get("complete", True)
        own.append(GroundQuestion(study.id, study.patient, number, *told, complete))
    return ScanQuestions(by_study(found), Study.source_mask)


def said_of(study: Study) -> list[str]:
    return sentences(study.findings) + sentences(study.impression)


def by_study(found: Mapping[str, Sequence[GroundQuestion]]) -> dict[str, tuple[GroundQuestion, ...]]:
    return {study: tuple(own) for study, own in found.items()}


def denials(study: Study) -> list[str]:
    """What the report of a scan denies, each sentence once."""
    return list(dict.fromkeys(text for text in sentences(study.findings) if mark_of(text) == "denied"))


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Sound rows, or an error that names the line and never its words."""
    for number, row in enumerate(raw_rows(path), 1):
        try:
            yield row_of(row)
        except (KeyError, TypeError, ValueError) as error:
            raise SimcropError(
                "bad-sentences",
                f"{path}, row {number}: wants scan, sentence, and value (a number in the mask, or several with blanks "
                "between) or level_mm; finding and side (left, right, both) may be added",
            ) from error


def raw_rows(path: Path) -> list[Any]:
    """Of a CSV with a head, or of a JSON list of objects."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise SimcropError("bad-sentences", f"{path}: larger than {MOST_BYTES // 10**6} MB")
        text = path.read_text("utf-8-sig")
        rows = json.loads(text) if path.suffix.lower() == ".json" else list(csv.DictReader(io.StringIO(text)))
    except OSError as error:
        raise SimcropError("missing-file", f"{path}: {error.strerror}") from error
    except (ValueError, csv.Error) as error:
        raise SimcropError("bad-sentences", f"{path} is no CSV or JSON in UTF-8") from error
    if not isinstance(rows, list) or not rows:
        raise SimcropError("bad-sentences", f"{path} holds no row; columns are {', '.join(COLUMNS)}")
    return rows


def row_of(row: Any) -> dict[str, Any]:
    """With what is not said taken from the words of the sentence."""
    text, scan = " ".join(str(row["sentence"]).split()), str(row["scan"]).strip()
    told = {name: row.get(name) for name in COLUMNS}
    values = values_of(told["value"])
    level = None if told["level_mm"] in (None, "") else float(told["level_mm"])
    side = str(told["side"] or "").strip() or side_of(text)
    finite = level is None or np.isfinite(level)
    sound = all(0 < value <= LARGEST for value in values)
    if not text or not scan or not sound or not (values or level is not None) or not finite:
        raise ValueError("incomplete")
    if side not in ("", *SIDES):
        raise ValueError("no side")
    finding = str(told["finding"] or "").strip() or kind_of(text)
    return {
        "scan": scan,
        "sentence": text,
        "values": values,
        "level_mm": level,
        "finding": finding,
        "side": side,
    }


def values_of(told: Any) -> tuple[int, ...]:
    """Numbers in a mask, each once, told as one, as a list or with blanks between; 0 and nothing are none."""
    parts = told if isinstance(told, list) else str("" if told is None else told).split()
    numbers = [float(part) for part in parts]
    if not all(number.is_integer() for number in numbers):
        raise ValueError("no whole number")
    return tuple(sorted({int(number) for number in numbers if number}))


def side_of(text: str) -> str:
    """The side that a sentence names, or nothing."""
    sides = places_of(text)[0]
    return "both" if len(sides) > 1 else next(iter(sides), "")
