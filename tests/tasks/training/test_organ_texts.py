"""What reports say of organs: nothing is known of them without a conclusion, and nothing learned where all are normal.

Axes: o organ.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from simcrop.config import load_recipe
from simcrop.data.report import Report
from simcrop.data.store.cohort import Cohort, open_cohort
from simcrop.errors import SimcropError
from simcrop.objectives.needs import OrganNeeds
from simcrop.tasks.training.organ_texts import concluded, organ_texts_of, refuse_all_normal
from simcrop.tasks.training.samples import left_out, training_studies

NAMES = ("lung", "heart")
FOUND = "There is a nodule in the right lung. The heart is enlarged."
REPORTS = [
    Report(FOUND, "A nodule of the right lung."),
    Report(FOUND, ""),
    Report(FOUND, "Not given."),
    Report("Both lungs are clear.", "Findings within normal limits."),
    Report("", ""),
]


@pytest.fixture
def studies(toy_cohort: Path) -> Cohort:
    """Five of the toys with those reports, as if each had a map of its organs."""
    index = (
        open_cohort(toy_cohort)
        .index[: len(REPORTS)]
        .with_columns(
            pl.Series("findings", [report.findings for report in REPORTS]),
            pl.Series("impression", [report.impression for report in REPORTS]),
            pl.lit("there").alias("mask_checksum"),
        )
    )
    return replace(open_cohort(toy_cohort), index=index)


@pytest.fixture
def files(studies: Cohort, tmp_path: Path) -> Callable[..., OrganNeeds]:
    """fVLM's two files: of every scan findings, of those that are told `conclusions`, in their order."""

    def write(conclusions: list[dict[str, str] | None]) -> OrganNeeds:
        scans = studies.index["id"].to_list()
        told = zip(scans, conclusions, strict=True)
        (tmp_path / "desc.json").write_text(json.dumps({scan: {"lung": "A nodule"} for scan in scans}))
        (tmp_path / "conc.json").write_text(json.dumps({scan: of for scan, of in told if of is not None}))
        return OrganNeeds(NAMES, str(tmp_path / "desc.json"), str(tmp_path / "conc.json"))

    return write


def test_a_report_without_an_impression_has_no_organ_texts(studies: Cohort) -> None:
    found = organ_texts_of(studies, REPORTS, OrganNeeds(NAMES))
    assert [len(texts) for texts in found.texts] == [2, 0, 0, 2, 0]
    assert [normal.tolist() for normal in found.normal] == [[False, True], [], [], [True, True], []]
    assert concluded(studies, OrganNeeds(NAMES)) == [True, False, False, True, False]


def test_a_scan_that_the_conclusions_do_not_know_has_no_organ_texts(
    studies: Cohort, files: Callable[..., OrganNeeds]
) -> None:
    needs = files([{"lung": "A nodule"}, None, {"Conclusion": "Not given."}, {}, {"Conclusion": "Normal."}])
    found = organ_texts_of(studies, REPORTS, needs)
    assert [len(texts) for texts in found.texts] == [2, 0, 0, 2, 2]
    assert [normal.tolist() for normal in found.normal] == [[False, True], [], [], [True] * 2, [True] * 2]
    assert concluded(studies, needs) == [True, False, False, True, True]


def test_scans_without_a_conclusion_are_not_trained_on(studies: Cohort) -> None:
    recipe = load_recipe("fvlm-tiny", ["data.split="])
    assert training_studies(studies, recipe).index["id"].to_list() == studies.index["id"][[0, 3]].to_list()
    assert left_out(studies, recipe) == {"left_out": "3 of 5 studies, which lack a mask or an impression"}


def test_a_cohort_without_impressions_is_refused(studies: Cohort) -> None:
    bare = replace(studies, index=studies.index.with_columns(pl.lit("").alias("impression")))
    with pytest.raises(SimcropError, match="none of its 5 studies has an impression, and fvlm") as refused:
        training_studies(bare, load_recipe("fvlm-tiny", ["data.split="]))
    assert refused.value.reason == "no-reports"


def test_a_cohort_in_which_every_organ_is_normal_is_refused(
    studies: Cohort, files: Callable[..., OrganNeeds]
) -> None:
    nothing = [{}] * len(REPORTS)
    for needs, reports, where in (
        (
            OrganNeeds(NAMES),
            [Report(FOUND, "Within normal limits.")] * len(REPORTS),
            "no impression of its 5",
        ),
        (files(nothing), REPORTS, r"no conclusion in .*conc\.json of its 5"),
    ):
        found = organ_texts_of(studies, reports, needs)
        normal = dict(zip(studies.index["id"], found.normal, strict=True))
        with pytest.raises(
            SimcropError, match=f"{where} studies names lung, heart, so that every"
        ) as refused:
            refuse_all_normal(studies, needs, normal)
        assert refused.value.reason == "all-normal"
    found = organ_texts_of(studies, REPORTS, OrganNeeds(NAMES))
    refuse_all_normal(studies, needs, dict(zip(studies.index["id"], found.normal, strict=True)))
