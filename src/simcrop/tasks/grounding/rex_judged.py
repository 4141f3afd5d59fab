"""Scans of one split, masked and, where their masks are known, scored: a line per scan, so that a killed job goes on.

No axes or units. `masks/ID.nii.gz` is written before its line in `scans.jsonl`.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np

from simcrop.data.store.cohort import Cohort, Study
from simcrop.data.store.findings import MarkedFinding
from simcrop.data.writers.finding_masks import write_findings
from simcrop.engine.progress import Pace, show_progress
from simcrop.errors import SimcropError
from simcrop.evaluation.features import UNREADABLE
from simcrop.evaluation.grounding.finding_beside import Foreign, drawn_like
from simcrop.evaluation.grounding.finding_maps import NO_NUMBERS, FindingMaps, counted, maps_of, score_mask
from simcrop.evaluation.grounding.finding_scores import Scored
from simcrop.evaluation.grounding.finding_threshold import Counted, Threshold
from simcrop.files.lines import Line, as_line, whole_lines
from simcrop.files.whole import remove_temporary, writing
from simcrop.metrics.findings import FindingScore
from simcrop.model import Model

SCANS, MASKS, SUFFIX = "scans.jsonl", "masks", ".nii.gz"
BESIDE = ("swapped", "chance")
Findings = Mapping[str, Sequence[MarkedFinding]]


@dataclass(frozen=True)
class Refused:
    """A scan that could not be looked at, and why."""

    id: str
    reason: str
    sentence: str


@dataclass(frozen=True, eq=False)
class Looking:
    """By what scans are looked at: `fine`: looks that are averaged; `foreign`: sentences that the masks must beat, of
    scans whose masks are known; `seed`: of the patches that are drawn.
    """

    model: Model
    findings: Findings
    fine: int = 1
    foreign: Foreign = field(default_factory=dict)
    seed: int = 0


def looked_at(
    looking: Looking, studies: Sequence[Study], refused: list[Refused], beside: bool = False
) -> Iterator[FindingMaps]:
    """Map after map; a scan whose stored volume is gone or damaged, or whose features are no numbers, goes to
    `refused`, and the rest goes on.
    """
    for study in studies:
        foreign = looking.foreign.get(study.id, ()) if beside and study.has_mask else ()
        try:
            yield maps_of(looking.model, study, looking.findings[study.id], foreign, looking.fine)
        except SimcropError as error:
            refused.append(as_refused(study, error))


def as_refused(study: Study, error: SimcropError) -> Refused:
    """What is wrong with this scan alone; whatever is wrong with more than it is raised again."""
    if error.reason not in (*UNREADABLE, NO_NUMBERS):
        raise error
    return Refused(study.id, error.reason, error.sentence)


def counts_of(looking: Looking, studies: Sequence[Study], refused: list[Refused]) -> Iterator[Counted]:
    """Of every marked finding what a threshold is chosen by."""
    progress, pace = show_progress("choosing a threshold"), Pace("scans")
    for done, study in enumerate(studies, start=1):
        for maps in looked_at(looking, [study], refused):
            try:
                yield from counted(maps)
            except SimcropError as error:
                refused.append(as_refused(study, error))
        progress(done, len(studies), pace(done, len(studies)))


def mask_all(
    looking: Looking, studies: Cohort, threshold: Threshold, out: Path
) -> tuple[list[Line], list[Refused]]:
    """A line for every scan whose masks were written, now or by an earlier call, and those that were refused."""
    with writing(out / MASKS):
        (out / MASKS).mkdir(exist_ok=True)
    remove_temporary(out / MASKS)
    lines = [line for line in earlier(out / SCANS) if mask_path(out, line["id"]).is_file()]
    done, refused = {line["id"] for line in lines}, list[Refused]()
    progress, pace = show_progress("ground-rex"), Pace("scans")
    with writing(out / SCANS), (out / SCANS).open("ab", buffering=0) as file:
        for study in studies:
            if study.id in done:
                continue
            for maps in looked_at(looking, [study], refused, beside=True):
                try:
                    lines.append(mask_one(maps, threshold, out, looking.seed))
                except SimcropError as error:
                    refused.append(as_refused(study, error))
                else:
                    file.write(as_line(lines[-1]))
            count = len(lines) + len(refused)
            progress(count, len(studies), pace(count, len(studies)))
    return lines, refused


def earlier(path: Path) -> list[Line]:
    """The lines that an interrupted call left; a torn last one is cut off."""
    if not path.exists():
        return []
    with path.open("r+b") as file:
        lines, size = whole_lines(file, lambda line: "id" in line and "findings" in line)
        file.truncate(size)
    return lines


def mask_path(out: Path, id: str) -> Path:
    return out / MASKS / f"{id}{SUFFIX}"


def mask_one(maps: FindingMaps, threshold: Threshold, out: Path, seed: int) -> Line:
    """One scan's masks on its own grid, and how good they and those beside them are where that is known."""
    study, chosen = maps.study, threshold.chosen(maps.similarity)
    scores = scores_of(maps, chosen, threshold, seed) if study.has_mask else [{}] * len(chosen)
    planes, shape = maps.spread.planes(chosen), study.source_shape
    write_findings(mask_path(out, study.id), planes, len(chosen), shape, study.source_affine)
    return {
        "id": study.id,
        "findings": [
            {"number": finding.number, "category": finding.category} | score
            for finding, score in zip(maps.findings, scores, strict=True)
        ],
    }


def scores_of(maps: FindingMaps, chosen: np.ndarray, threshold: Threshold, seed: int) -> list[Line]:
    """Of each mask its score, and those of a foreign sentence's mask and of drawn patches in its place."""
    labels, lines = maps.study.source_mask(), list[Line]()
    for row, (finding, mask) in enumerate(zip(maps.findings, chosen, strict=True)):
        foreign = maps.foreign[row] if maps.foreign else None
        blind = drawn_like(mask, maps.similarity[row], maps.study.id, finding.number, seed)
        others = {"chance": blind}
        if foreign is not None:
            others["swapped"] = threshold.chosen(foreign[None])[0]
        line = line_of(score_mask(maps, row, mask, labels))
        lines.append(line | {who: line_of(score_mask(maps, row, of, labels)) for who, of in others.items()})
    return lines


def line_of(score: FindingScore) -> Line:
    return asdict(score) | {"dice": None if math.isnan(score.dice) else score.dice}


def scored_of(lines: Sequence[Line], patients: Mapping[str, str], who: str = "own") -> list[Scored]:
    """Every finding that was scored, in the order of scans and findings; or what stands beside it, one of `BESIDE`."""
    return [
        Scored(line["id"], patients[line["id"]], row["category"], score_of(row if who == "own" else row[who]))
        for line in sorted(lines, key=lambda line: line["id"])
        for row in line["findings"]
        if "true" in row and (who == "own" or who in row)
    ]


def score_of(row: Line) -> FindingScore:
    names = ("dice", "true", "predicted", "by_overlap", "by_distance", "complete")
    score = FindingScore(*(row[name] for name in names))
    return replace(score, dice=math.nan) if score.dice is None else score
