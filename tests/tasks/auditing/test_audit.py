"""`simcrop audit` on the toy line: scores against a slow reading, text-blind is no effect, nothing private leaves."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from simcrop.data.report import sentences
from simcrop.data.samples.dataset import cut
from simcrop.data.store.cohort import open_cohort
from simcrop.evaluation.wording.claims import claim_of, kinds_of
from simcrop.evaluation.wording.perturb import PERTURBATIONS, perturb
from simcrop.model import Model, load
from simcrop.tasks.auditing.asked import draw_asked, drawn_partners
from simcrop.tasks.auditing.tables import OTHER_SCAN
from simcrop.tasks.labelled import patients_of


@pytest.fixture
def cohort(line, tmp_path: Path) -> Path:
    """All scans in one split."""
    folder = tmp_path / "cohort"
    shutil.copytree(line.cohort, folder, ignore=shutil.ignore_patterns("features", "sentences"))
    table = pl.read_parquet(folder / "studies.parquet")
    table.with_columns(pl.lit("valid").alias("split")).write_parquet(folder / "studies.parquet")
    return folder


def read(path: Path) -> dict[str, Any]:
    return json.loads((path / "metrics.json").read_text())


def test_scores_are_those_of_a_slow_reading_and_all_parts_are_told(
    simcrop: Callable, line, cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = simcrop("audit", line.run, cohort, "--out", tmp_path / "out", "--top-k", 3)
    assert ran.code == 0, ran.err
    table, metrics = pl.read_parquet(tmp_path / "out/sentences.parquet"), read(tmp_path / "out")
    model, studies = load(line.run), open_cohort(cohort)
    grid = model.grid.shape
    for scan in (0, 5):
        study = studies[scan]
        seen = model.regions_of(torch.from_numpy(cut(study, model.spec, None))[None, None])[0]

        def slow(text: str, seen: torch.Tensor = seen) -> float:
            return float(np.sort((seen @ model.encode([text])[0]).numpy())[-3:].mean())

        rows = table.filter((pl.col("scan") == scan) & (pl.col("change") != OTHER_SCAN)).to_dicts()
        changed = {of.number: of for of in perturb(sentences(study.findings), study.labels)}
        assert len(rows) == sum(len(of.texts) for of in changed.values()) > 0
        for row in rows[::2]:
            of = changed[row["sentence"]]
            assert row["score"] == pytest.approx(slow(of.text), abs=1e-5)
            assert row["score_changed"] == pytest.approx(slow(of.texts[row["change"]]), abs=1e-5)
    for counts in metrics["shifts"].values():
        assert counts["sentences"] == counts["applied"] + counts["no_rule"] + counts["also_true"]
    assert set(metrics["shifts"]) == {*PERTURBATIONS, OTHER_SCAN}
    unchanged = metrics["shifts"]["unchanged"]
    assert (unchanged["fall"], unchanged["fall_low"], unchanged["falls"], unchanged["beyond"]) == (
        0,
        0,
        0.5,
        0,
    )
    assert metrics["pointing"]["unchanged"]["lost"] == 0
    assert 0 < metrics["pointing"]["side"]["sentences"] <= metrics["shifts"]["side"]["applied"]
    assert np.prod(grid) > metrics["top_k"] == 3
    monkeypatch.setattr(Model, "regions_of", lambda *_: pytest.fail("looked again"))
    monkeypatch.setattr(Model, "encode", lambda *_: pytest.fail("read again"))
    assert simcrop("audit", line.run, cohort, "--out", tmp_path / "again", "--top-k", 3).code == 0
    assert read(tmp_path / "again") == metrics


def test_a_model_that_reads_nothing_is_no_effect_to_the_last_bit(
    simcrop: Callable, line, cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Model.encode
    monkeypatch.setattr(Model, "encode", lambda self, texts: real(self, ["lung"]).expand(len(texts), -1))
    assert simcrop("audit", line.run, cohort, "--out", tmp_path / "out").code == 0
    metrics = read(tmp_path / "out")
    for name, shift in metrics["shifts"].items():
        if name != OTHER_SCAN and shift["applied"]:
            assert (shift["fall"], shift["fall_low"], shift["fall_high"], shift["beyond"]) == (0, 0, 0, 0), (
                name
            )
            assert (shift["falls"], shift["falls_low"], shift["falls_high"]) == (0.5, 0.5, 0.5), name
    for name in ("all", "denied", "lacking", "all_beyond"):
        says = metrics["says_nothing"]
        assert (says[f"auroc_{name}"], says[f"auroc_{name}_low"], says[f"auroc_{name}_high"]) == (
            0.5,
            0.5,
            0.5,
        )
    for name, of in metrics["pointing"].items():
        assert (of["lost"], of["lost_low"], of["lost_high"]) == (0, 0, 0), name


def test_what_leaves_the_cohort_holds_no_word_of_a_report_and_no_name(
    simcrop: Callable, line, cohort: Path, tmp_path: Path
) -> None:
    assert simcrop("audit", line.run, cohort, "--out", tmp_path / "out").code == 0
    written = b"".join(path.read_bytes() for path in (tmp_path / "out").iterdir())
    index = open_cohort(cohort).index
    private = {sentence for text in index["findings"] for sentence in sentences(text)} | set(index["id"])
    assert not [words for words in private if words.encode() in written]
    for name in ("sentences", "presence"):
        table = pl.read_parquet(tmp_path / f"out/{name}.parquet")
        texts = {value for column in table.select(pl.col(pl.String)) for value in column.unique()}
        assert not texts & (private | set(index["patient"]))


def test_without_truth_and_labels_there_are_shifts_and_no_pointing(
    simcrop: Callable, line, cohort: Path, tmp_path: Path
) -> None:
    table = pl.read_parquet(cohort / "studies.parquet")
    table.select(pl.exclude("^label:.*$")).write_parquet(cohort / "studies.parquet")
    facts = json.loads((cohort / "cohort.json").read_text())
    (cohort / "cohort.json").write_text(json.dumps(facts | {"source": "/nowhere"}))
    assert simcrop("audit", line.run, cohort, "--out", tmp_path / "out").code == 0
    metrics = read(tmp_path / "out")
    assert metrics["pointing"] is None
    assert metrics["shifts"]["shuffled"]["applied"] > 0
    assert metrics["says_nothing"]["lacking"] > 0
    assert "Where changed sentences point" not in (tmp_path / "out/report.html").read_text()


def test_scans_are_asked_what_they_lack_and_of_other_patients_alone(cohort: Path) -> None:
    studies = open_cohort(cohort)
    asked, patients = draw_asked(studies, 0), patients_of(studies)
    assert [scan.lacking for scan in draw_asked(studies, 0)] == [scan.lacking for scan in asked]
    whose: dict[str, set[str]] = {}
    for scan, patient in zip(asked, patients, strict=True):
        for text in scan.there:
            whose.setdefault(text, set()).add(patient)
    for i, scan in enumerate(asked):
        assert len(scan.lacking) == len(scan.there)
        assert scan.partner is not None
        assert patients[scan.partner] != patients[i]
        for text in scan.lacking:
            (kind,) = kinds_of(text)
            assert claim_of(text) == "asserts"
            assert studies[i].labels[kind] == 0
            assert whose[text] - {patients[i]}
    rng = np.random.default_rng(0)
    assert drawn_partners(np.array(["a", "a"]), rng) == [None, None]


class Counted(str):
    """A patient who knows how often all of them were compared."""

    compared = 0

    def __lt__(self, other: str) -> bool:
        Counted.compared += 1
        return super().__lt__(other)

    def __eq__(self, other: object) -> bool:
        Counted.compared += 1
        return super().__eq__(other)

    def __ne__(self, other: object) -> bool:
        Counted.compared += 1
        return super().__ne__(other)

    __hash__ = str.__hash__


@pytest.mark.parametrize("patients", [1, 2, 3, 7, 40])
@pytest.mark.parametrize("scans", [1, 2, 9, 50])
def test_partners_are_the_next_of_another_patient_in_a_drawn_circle(scans: int, patients: int) -> None:
    names = np.array([f"p{n}" for n in np.random.default_rng(scans).integers(patients, size=scans)], object)
    order = np.random.default_rng(3).permutation(scans)
    slow: list[int | None] = [None] * scans
    for place, scan in enumerate(order):
        circle = [*order[place + 1 :], *order[:place]]
        slow[scan] = next((int(other) for other in circle if names[other] != names[scan]), None)
    assert drawn_partners(names, np.random.default_rng(3)) == slow


def test_partners_of_many_scans_do_not_compare_each_with_each() -> None:
    names = np.array([Counted(n // 2) for n in range(3000)], object)
    Counted.compared = 0
    drawn_partners(names, np.random.default_rng(0))
    assert Counted.compared < 50 * len(names)


def test_what_cannot_be_asked_is_refused(simcrop: Callable, line, cohort: Path, tmp_path: Path) -> None:
    words = ("audit", line.run, cohort, "--out", tmp_path / "out")
    assert "no study in split 'nowhere'; it has valid" in simcrop(*words, "--split", "nowhere").refusal
    assert "not found" in simcrop(*words, "--truth", tmp_path).refusal
    truth = tmp_path / "other/truth"
    truth.mkdir(parents=True)
    (truth / "sentences.jsonl").write_text("")
    assert "of none of these scans" in simcrop(*words, "--truth", tmp_path / "other").refusal
    table = pl.read_parquet(cohort / "studies.parquet")
    table.with_columns(pl.lit("Akciğerler doğal.").alias("findings")).write_parquet(
        cohort / "studies.parquet"
    )
    assert "no report of split 'valid'" in simcrop(*words).refusal
    assert not (tmp_path / "out").exists()


def test_a_truth_of_other_reports_is_refused(simcrop: Callable, line, cohort: Path, tmp_path: Path) -> None:
    table = pl.read_parquet(cohort / "studies.parquet")
    short = pl.lit("There is a nodule in the left lung.").alias("findings")
    table.with_columns(short).write_parquet(cohort / "studies.parquet")
    words = ("audit", line.run, cohort, "--out", tmp_path / "out")
    assert "not the one that the truth describes" in simcrop(*words).refusal
    assert not (tmp_path / "out").exists()
