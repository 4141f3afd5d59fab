"""What the report on a phantom says of each organ, in the form of fVLM's two files: scan -> {organ: text}.

Text only, no axes. What a sentence is about is known where it has a kind; one without is told by its words.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from simcrop.data.organs import OrganText, split_by_words
from simcrop.phantom.findings.finding import Finding
from simcrop.phantom.layouts.tree import Entry, write_file
from simcrop.phantom.reporting.report import PhantomReport, Sentence, conclude

DESCRIPTIONS, CONCLUSIONS = "desc_info.json", "conc_info.json"
TOLD = ("lung", "heart", "esophagus", "aorta", "trachea", "liver")  # organs that reports are sorted by
ORGAN_OF = {
    "Arterial wall calcification": "aorta",
    "Cardiomegaly": "heart",
    "Pericardial effusion": "heart",
    "Coronary artery wall calcification": "heart",
    "Hiatal hernia": "esophagus",
    "Medical material": None,
    "Lymphadenopathy": None,
}  # all other kinds are of the lung


def organ_texts(report: PhantomReport, findings: tuple[Finding, ...]) -> dict[str, OrganText]:
    """What the report says of each organ of which it says something."""
    told = [(organs_of(sentence), sentence.text) for sentence in report.sentences]
    concluded = [(ORGAN_OF.get(finding.kind, "lung"), conclude(finding)) for finding in findings]
    texts = {
        organ: OrganText(
            " ".join(text for organs, text in told if organ in organs),
            " ".join(text for of, text in concluded if of == organ),
        )
        for organ in TOLD
    }
    return {organ: both for organ, both in texts.items() if both.text}


def organs_of(sentence: Sentence) -> set[str]:
    """By its kind where it has one, else by its words."""
    if sentence.kind is not None:
        organ = ORGAN_OF.get(sentence.kind, "lung")
        return {organ} if organ else set()
    return {organ for organ, text in split_by_words(sentence.text, TOLD).items() if text}


def write_organ_texts(out: Path, entries: list[Entry]) -> None:
    """Both files, at the root of the cohort."""
    told: Mapping[str, Mapping[str, OrganText]] = {
        scan: t for entry in entries for scan, t in entry.organs.items()
    }
    for name, part in ((DESCRIPTIONS, "description"), (CONCLUSIONS, "conclusion")):
        of_all = {
            scan: {organ: said for organ, text in texts.items() if (said := getattr(text, part))}
            for scan, texts in told.items()
        }
        write_file(out / name, json.dumps(of_all, indent=1).encode() + b"\n")
