"""What the reports of a cohort say of each organ: from fVLM's two JSON files, or sorted by our own words.

No axes. The files hold scan -> {organ: text}, of findings (`desc_info.json`) and of conclusions (`conc_info.json`). A
scan that neither names has no texts, and none is made up for it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool

from simcrop.data.organs import OrganText, split_by_words
from simcrop.data.report import Report
from simcrop.data.store.cohort import Cohort
from simcrop.errors import SimcropError
from simcrop.objectives.needs import OrganNeeds

ORGAN_TEXTS = "organ_texts"  # in run.json
BY_WORDS = "simcrop's own keyword splitter, a fallback: sentences of the reports by the words of each organ"
FEWEST = 0.01  # share of the studies that a JSON names, below which it is that of other scans

Said = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, eq=False)
class OrganTexts:
    """Of each study a text for every organ, or none at all; `normal`: which organs the conclusion leaves at that;
    `source`: where the texts are from.
    """

    texts: list[list[str]]
    normal: list[Bool[np.ndarray, " o"]]
    source: str


def organ_texts_of(studies: Cohort, reports: Sequence[Report], needs: OrganNeeds) -> OrganTexts:
    """In the order of the studies and of the organs."""
    if needs.descriptions is None or needs.conclusions is None:
        told = [split_report(report, needs.names) for report in reports]
        source = BY_WORDS
    else:
        descriptions, conclusions = read_said(needs.descriptions), read_said(needs.conclusions)
        names = list(zip(studies.index["scan"].to_list(), studies.index["id"].to_list(), strict=True))
        told = [told_of(key, descriptions, conclusions, needs.names) for key in names]
        there = sum(one is not None for one in told)
        if there < max(1, FEWEST * len(told)):
            raise SimcropError(
                "other-scans",
                f"{needs.descriptions}: names {there} of the {len(told)} scans of this cohort: it is for other scans",
            )
        files = f"{Path(needs.descriptions).name} and {Path(needs.conclusions).name}"
        source = f"{files}, which name {there} of {len(told)} scans"
    texts, normal = [], []
    for one in told:
        of_all = [] if one is None else [one[organ] for organ in needs.names]
        texts.append([stated(organ, text) for organ, text in zip(needs.names, of_all, strict=False)])
        normal.append(np.array([text.is_normal for text in of_all], dtype=bool))
    return OrganTexts(texts, normal, source)


def stated(organ: str, text: OrganText) -> str:
    """What is encoded; of an organ that nothing is said of, the sentence that fVLM has for it."""
    return text.text or f"{organ} shows no significant abnormalities."


def split_report(report: Report, organs: Sequence[str]) -> dict[str, OrganText] | None:
    """By words; None where there is no report."""
    if not report.text:
        return None
    found, concluded = (split_by_words(part, organs) for part in (report.findings, report.impression))
    return {organ: OrganText(found[organ], concluded[organ]) for organ in organs}


def told_of(
    names: tuple[str, str], descriptions: Said, conclusions: Said, organs: Sequence[str]
) -> dict[str, OrganText] | None:
    """What the files say of the first of a scan's names that they know."""
    name = next((name for name in names if name in descriptions or name in conclusions), None)
    if name is None:
        return None
    found, concluded = descriptions.get(name, {}), conclusions.get(name, {})
    return {
        organ: OrganText(found.get(organ, "").strip(), concluded.get(organ, "").strip()) for organ in organs
    }


def read_said(path: str) -> Said:
    """One of the files, if it has fVLM's form."""
    try:
        told: Any = json.loads(Path(path).read_text("utf-8"))
    except (OSError, ValueError) as error:
        why = "no such file" if isinstance(error, FileNotFoundError) else "it cannot be read as JSON"
        raise SimcropError("bad-json", f"{path}: {why}, expected scan -> {{organ: text}}") from error
    if not isinstance(told, dict) or not all(
        isinstance(of_scan, dict) and all(isinstance(text, str) for text in of_scan.values())
        for of_scan in told.values()
    ):
        raise SimcropError("bad-json", f"{path}: expected scan -> {{organ: text}} inside")
    return told
