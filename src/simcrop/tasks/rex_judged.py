"""Scans of one split, masked and, where their masks are known, scored: a line per scan, so that a killed job goes on.

No axes or units. `masks/ID.nii.gz` is written before its line in `scans.jsonl`.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from simcrop.data.store.cohort import Cohort, Study
from simcrop.data.store.findings import MarkedFinding
from simcrop.data.writers.finding_masks import write_findings
from simcrop.engine.progress import Pace, show_progress
from simcrop.errors import SimcropError
from simcrop.evaluation.features import UNREADABLE
from simcrop.evaluation.finding_maps import FindingMaps, counted, maps_of, score_masks
from simcrop.evaluation.finding_scores import Scored
from simcrop.evaluation.finding_threshold import Counted, Threshold
from simcrop.files.lines import Line, as_line, whole_lines
from simcrop.files.whole import remove_temporary, writing
from simcrop.metrics.findings import FindingScore
from simcrop.model import Model

SCANS, MASKS, SUFFIX = "scans.jsonl", "masks", ".nii.gz"
Findings = Mapping[str, Sequence[MarkedFinding]]


@dataclass(frozen=True)
class Refused:
    """A scan that could not be looked at, and why."""

    id: str
    reason: str
    sentence: str


def looked_at(
    model: Model, studies: Sequence[Study], findings: Findings, refused: list[Refused]
) -> Iterator[FindingMaps]:
    """Map after map; a scan whose stored volume is gone or damaged goes to `refused`, and the rest goes on."""
    for study in studies:
        try:
            yield maps_of(model, study, findings[study.id])
        except SimcropError as error:
            refused.append(as_refused(study, error))


def as_refused(study: Study, error: SimcropError) -> Refused:
    """What is wrong with this scan alone; whatever is wrong with more than it is raised again."""
    if error.reason not in UNREADABLE:
        raise error
    return Refused(study.id, error.reason, error.sentence)


def counts_of(
    model: Model, studies: Sequence[Study], findings: Findings, refused: list[Refused]
) -> Iterator[Counted]:
    """Of every marked finding what a threshold is chosen by."""
    progress, pace = show_progress("choosing a threshold"), Pace("scans")
    for study in studies:
        for maps in looked_at(model, [study], findings, refused):
            try:
                yield from counted(maps)
            except SimcropError as error:
                refused.append(as_refused(study, error))
        done = studies.index(study) + 1
        progress(done, len(studies), pace(done, len(studies)))


def mask_all(
    model: Model, studies: Cohort, findings: Findings, threshold: Threshold, out: Path
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
            for maps in looked_at(model, [study], findings, refused):
                try:
                    lines.append(mask_one(maps, threshold, out))
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


def mask_one(maps: FindingMaps, threshold: Threshold, out: Path) -> Line:
    """One scan's masks on its own grid, and how good they are where that is known."""
    study, chosen = maps.study, threshold.chosen(maps.similarity)
    scores = score_masks(maps, chosen) if study.has_mask else None
    planes, shape = maps.spread.planes(chosen), study.source_shape
    write_findings(mask_path(out, study.id), planes, len(chosen), shape, study.source_affine)
    return {
        "id": study.id,
        "findings": [
            {"number": finding.number, "category": finding.category}
            | ({} if scores is None else line_of(scores[row]))
            for row, finding in enumerate(maps.findings)
        ],
    }


def line_of(score: FindingScore) -> Line:
    return asdict(score) | {"dice": None if math.isnan(score.dice) else score.dice}


def scored_of(lines: Sequence[Line], patients: Mapping[str, str]) -> list[Scored]:
    """Every finding that was scored, in the order of scans and findings."""
    return [
        Scored(line["id"], patients[line["id"]], row["category"], score_of(row))
        for line in sorted(lines, key=lambda line: line["id"])
        for row in line["findings"]
        if "true" in row
    ]


def score_of(row: Line) -> FindingScore:
    names = ("dice", "true", "predicted", "by_overlap", "by_distance", "complete")
    score = FindingScore(*(row[name] for name in names))
    return replace(score, dice=math.nan) if score.dice is None else score
