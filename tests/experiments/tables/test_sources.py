"""The data file of the tables: what it may say, and one line for what it may not."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from simcrop.data.store.cohort import open_cohort
from simcrop.data.store.format import STUDIES
from simcrop.errors import SimcropError
from simcrop.experiments.tables.columns import TABLE1_COLUMNS
from simcrop.experiments.tables.jobs import judged_split
from simcrop.experiments.tables.sources import (
    Sources,
    check_cohort,
    check_sources,
    read_sources,
    refuse_judged_in_training,
    refuse_no_rows,
)


def written(tmp_path: Path, text: str) -> Path:
    (tmp_path / "here").mkdir(exist_ok=True)
    path = tmp_path / "data.yaml"
    path.write_text(text)
    return path


def test_a_cohort_serves_for_all_parts_or_has_one_for_each(tmp_path: Path) -> None:
    cohorts = "cohorts:\n  ct-rate: here\n  luna16: {classify: here, segment: .}\n"
    text = f"{cohorts}methods: [mae]\nweights: {{mae: here}}\nfiles: {{organs.conclusions: here}}\n"
    found = read_sources(written(tmp_path, text))
    assert found.cohort("ct-rate", "segment") == tmp_path / "here"
    assert found.cohort("luna16", "segment") == tmp_path
    assert found.cohort("luna16", "pretrain") is None
    assert found.files == {"organs.conclusions": tmp_path / "here"}
    assert "Synapse" in found.missing["btcv"]
    assert "ct-rate" not in found.missing
    assert found.start == (f'init.mae="{tmp_path / "here"}"',)
    assert [row.key for row in found.rows("table1")] == ["mae"]


BAD = {
    "cohort: {}": "unknown name 'cohort' (data file), did you mean cohorts?",
    "cohorts: {ct-rate: here, rad-chest: here}": "unknown name 'rad-chest' (data set), did you mean rad-chestct?",
    "cohorts: {ct-rate: {pretraining: here}}": "did you mean pretrain?",
    "cohorts: {ct-rate: nowhere}": "nowhere is not there",
    "cohorts: {ct-rate: 3}": "ct-rate wants a path, got 3",
    "cohorts: {luna16: here}": "no ct-rate under `cohorts`",
    "cohorts: {ct-rate: here}\nmethods: [simcrob]": "unknown name 'simcrob' (method), did you mean simcrop?",
    "cohorts: {ct-rate: here}\nmethods: mae": "methods wants a list",
    "cohorts: {ct-rate: here}\nweights: {maes: here}": "did you mean mae?",
    "cohorts: {ct-rate: here}\nfiles: {organ.conclusion: here}": "did you mean organs.conclusions?",
    "cohorts: [ct-rate]": "expected `name: value` lines",
    "cohorts: {": "is not YAML",
    "cohorts: {ct-rate: 2024-02-30}": "is not YAML",
    "cohorts: {ct-rate: here}\ncohorts: {ct-rate: here, btcv: here}": "cohorts stands twice",
    "cohorts: {ct-rate: ''}": "ct-rate wants a path, got ''",
}


@pytest.mark.parametrize("text", list(BAD))
def test_what_cannot_be_used_is_one_line(text: str, tmp_path: Path) -> None:
    with pytest.raises(SimcropError) as caught:
        read_sources(written(tmp_path, text))
    assert BAD[text] in caught.value.sentence
    assert "\n" not in caught.value.sentence


def test_methods_that_a_table_has_no_rows_of_are_refused_with_those_that_it_has(tmp_path: Path) -> None:
    found = read_sources(written(tmp_path, "cohorts: {ct-rate: here}\nmethods: [sa-il, mae]"))
    assert [row.key for row in found.rows("table3")] == ["sa-il"]
    refuse_no_rows(found, "table3")
    with pytest.raises(SimcropError, match="none of `methods` is a row of fig3, which has top-16"):
        refuse_no_rows(found, "fig3")


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(SimcropError, match="cannot read"):
        read_sources(tmp_path / "none.yaml")


def test_a_cohort_of_another_spacing_is_refused_with_the_one_that_is_wanted(
    toy_cohort: Path, tmp_path: Path
) -> None:
    sources = read_sources(written(tmp_path, f"cohorts: {{ct-rate: {json.dumps(str(toy_cohort))}}}"))
    with pytest.raises(SimcropError, match="ingested at 14,12,24 mm, its recipe reads 1"):
        check_sources(sources, TABLE1_COLUMNS, "paper")


def test_a_cohort_without_masks_labels_or_a_split_to_judge_by_is_refused(toy_cohort: Path) -> None:
    cohort = open_cohort(toy_cohort)
    spacing = cohort.spacing_mm
    with pytest.raises(SimcropError, match="none of its studies has a mask"):
        check_cohort(cohort, "luna16", "segment", spacing)
    bare = replace(
        cohort, index=cohort.index.drop([c for c in cohort.index.columns if c.startswith("label:")])
    )
    with pytest.raises(SimcropError, match="no labels to probe"):
        check_cohort(bare, "ct-rate", "classify", spacing)
    train = replace(
        cohort, index=cohort.index.with_columns(split=cohort.index["split"].str.replace(".*", "train"))
    )
    with pytest.raises(SimcropError, match="no study in a split test or valid"):
        check_cohort(train, "ct-rate", "classify", spacing)


def test_a_part_that_a_column_needs_must_be_there(tmp_path: Path) -> None:
    sources = read_sources(written(tmp_path, "cohorts: {ct-rate: {classify: here}}"))
    with pytest.raises(SimcropError, match="ct-rate has no cohort for its part `pretrain`"):
        check_sources(sources, TABLE1_COLUMNS, "paper")


def test_patients_who_are_judged_and_learned_from_are_refused(toy_cohort: Path, tmp_path: Path) -> None:
    """Two cohorts of one data set, which two people may have cut apart in two ways."""
    cohort = open_cohort(toy_cohort)
    both = cohort.select(judged_split(cohort)).index["patient"].unique()
    other = shutil.copytree(toy_cohort, tmp_path / "other")
    parts = {"pretrain": toy_cohort, "classify": other}
    refuse_judged_in_training(Sources({"ct-rate": parts}), "train")
    leaked = cohort.index.with_columns(split=pl.lit("train"))
    leaked.write_parquet(tmp_path / "other" / STUDIES)
    with pytest.raises(SimcropError, match=f"{len(both)} of its patients in split 'train' are judged in "):
        refuse_judged_in_training(Sources({"ct-rate": {"pretrain": other, "classify": toy_cohort}}), "train")


@pytest.mark.parametrize("path", ["~nobody-of-this-name/x", "a\\0b"])
def test_a_path_that_cannot_be_is_one_line(path: str, tmp_path: Path) -> None:
    file = written(tmp_path, f'cohorts: {{ct-rate: "{path}"}}')
    with pytest.raises(SimcropError, match="ct-rate: no path that can be"):
        read_sources(file)
