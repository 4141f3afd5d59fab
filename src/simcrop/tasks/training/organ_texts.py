"""What the reports of a cohort say of each organ: from fVLM's two JSON files, or sorted by our own words.

No axes. The files hold scan -> {organ: text}, of findings (`desc_info.json`) and of conclusions (`conc_info.json`). An
organ is abnormal where the conclusion names it. A scan whose conclusion is not known has no texts: all its organs would
count as normal, whatever its findings say, and where that goes for all scans there is nothing to learn.
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

WHOLE = "Conclusion"  # beside the organs

Said = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, eq=False)
class OrganTexts:
    """Of each study a text for every organ, or none at all; `normal`: which organs the conclusion leaves at that;
    `source`: where the texts are from.
    """

    texts: list[list[str]]
    normal: list[Bool[np.ndarray, " _"]]
    source: str


def organ_texts_of(studies: Cohort, reports: Sequence[Report], needs: OrganNeeds) -> OrganTexts:
    """In the order of the studies and of the organs."""
    if needs.descriptions is None or needs.conclusions is None:
        told = [split_report(report, needs.names) for report in reports]
        source = BY_WORDS
    else:
        descriptions, conclusions = read_said(needs.descriptions), read_said(needs.conclusions)
        told = [told_of(names, descriptions, conclusions, needs.names) for names in names_of(studies)]
        source = f"{Path(needs.descriptions).name} and {Path(needs.conclusions).name}"
    texts, normal = [], []
    for one in told:
        of_all = [] if one is None else [one[organ] for organ in needs.names]
        texts.append([stated(organ, text) for organ, text in zip(needs.names, of_all, strict=False)])
        normal.append(np.array([text.is_normal for text in of_all], dtype=bool))
    return OrganTexts(texts, normal, source)


def concluded(studies: Cohort, needs: OrganNeeds) -> list[bool]:
    """Of which studies the conclusion is known."""
    if needs.conclusions is None:
        return [says_something(impression) for impression in studies.index["impression"].to_list()]
    conclusions = read_said(needs.conclusions)
    there = [known_as(names, conclusions) is not None for names in names_of(studies)]
    if sum(there) < max(1, FEWEST * len(there)):
        raise SimcropError(
            "other-scans",
            f"{needs.conclusions}: concludes {sum(there)} of the {len(there)} scans of this cohort: it is for other "
            "scans",
        )
    return there


def refuse_all_normal(
    studies: Cohort, needs: OrganNeeds, normal: Mapping[str, Bool[np.ndarray, " _"]]
) -> None:
    """Organs are told from abnormal ones only: where there are none, the loss is 0 from the first step to the last."""
    if not all(normal[study].all() for study in studies.index["id"].to_list()):
        return
    where = "no impression" if needs.conclusions is None else f"no conclusion in {needs.conclusions}"
    raise SimcropError(
        "all-normal",
        f"{studies.path}: {where} of its {len(studies)} studies names {', '.join(needs.names)}, so that every organ "
        "counts as normal and nothing can be learned; expected impressions that name what is abnormal",
    )


def says_something(text: str) -> bool:
    """Not where a report states "Not given."."""
    return bool(Report("", text).text)


def stated(organ: str, text: OrganText) -> str:
    """What is encoded; of an organ that nothing is said of, the sentence that fVLM has for it."""
    return text.text or f"{organ} shows no significant abnormalities."


def split_report(report: Report, organs: Sequence[str]) -> dict[str, OrganText] | None:
    """By words; None where there is no impression."""
    if not says_something(report.impression):
        return None
    found, concluded = (split_by_words(part, organs) for part in (report.findings, report.impression))
    return {organ: OrganText(found[organ], concluded[organ]) for organ in organs}


def told_of(
    names: tuple[str, str], descriptions: Said, conclusions: Said, organs: Sequence[str]
) -> dict[str, OrganText] | None:
    """What the files say of a scan; None where the second does not know it."""
    name = known_as(names, conclusions)
    if name is None:
        return None
    found, said = descriptions.get(name, {}), conclusions[name]
    return {organ: OrganText(found.get(organ, "").strip(), said.get(organ, "").strip()) for organ in organs}


def names_of(studies: Cohort) -> list[tuple[str, str]]:
    """What the files may call each scan."""
    return list(zip(studies.index["scan"].to_list(), studies.index["id"].to_list(), strict=True))


def known_as(names: tuple[str, str], conclusions: Said) -> str | None:
    """The first of a scan's names of which there is a conclusion; fVLM's file has the whole of it beside the organs."""
    there = (name for name in names if name in conclusions)
    return next((name for name in there if says_something(conclusions[name].get(WHOLE, "said"))), None)


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
