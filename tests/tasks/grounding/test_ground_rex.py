"""`simcrop ground-rex` on a phantom cohort in ReXGroundingCT's format, from the raw tree to the checked submission."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel as nib
import numpy as np
import polars as pl
import pytest

from simcrop.data.store.cohort import Study, open_cohort
from simcrop.data.store.findings import read_findings
from simcrop.data.volume import spacing_of
from simcrop.metrics.findings import score_finding
from simcrop.model import load
from simcrop.tasks.cohorts.ingest import ingest
from simcrop.tasks.cohorts.phantom import phantom


@pytest.fixture(scope="module")
def rex(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Eleven patients, most of whom have something listed; nobody may change the cohort."""
    home = tmp_path_factory.mktemp("rex")
    phantom(home / "raw", "rexgrounding", 15, seed=3, size="tiny", difficulty="easy")
    ingest(home / "raw", "rexgrounding", home / "cohort", spacing="5.5,5.5,10")
    return SimpleNamespace(cohort=home / "cohort", raw=home / "raw")


@pytest.fixture(scope="module")
def judged(rex: Any, line: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The split `valid`, its threshold chosen on `train`."""
    from simcrop.tasks.grounding.ground_rex import ground_rex

    out = tmp_path_factory.mktemp("judged") / "out"
    ground_rex(str(line.run), rex.cohort, out, "train", "valid")
    return out


def metrics(out: Path) -> dict[str, Any]:
    return json.loads((out / "metrics.json").read_text(), parse_constant=pytest.fail)


def studies(cohort: Path, split: str) -> list[Study]:
    return list(open_cohort(cohort).select(split))


def test_masks_lie_on_the_scans_own_grid_and_the_metrics_are_theirs(rex: Any, judged: Path) -> None:
    found, scores = metrics(judged), []
    findings = read_findings(open_cohort(rex.cohort))
    for study in studies(rex.cohort, "valid"):
        masks = np.asarray(nib.load(judged / "masks" / f"{study.id}.nii.gz").dataobj)
        assert masks.shape == (len(findings[study.id]), *study.source_shape)
        assert set(np.unique(masks)) == {0, 1}
        spacing, labels = spacing_of(study.source_affine), study.source_mask()
        scores.append(
            [
                score_finding(mask > 0, one.instances_in(labels), spacing, one.focal, True)
                for mask, one in zip(masks, findings[study.id], strict=True)
            ]
        )
    flat = [score for of_scan in scores for score in of_scan]
    assert found["judged_findings"] == len(flat) > 2
    assert found["dice_per_finding"] == pytest.approx(np.mean([score.dice for score in flat]))
    assert found["dice_per_case"] == pytest.approx(np.mean([np.mean([s.dice for s in of]) for of in scores]))
    assert found["hit_rate"] == pytest.approx(np.mean([score.dice >= 0.1 for score in flat]))
    assert found["instance_recall"] == sum(s.by_overlap for s in flat) / sum(s.true for s in flat)
    assert found["dice_per_case_low"] <= found["dice_per_case"] <= found["dice_per_case_high"]
    assert found["distance_f1"] is not None
    beside = found["beside"]
    assert beside["chance"]["findings"] == len(flat)
    assert 0 < beside["swapped"]["findings"] <= len(flat)
    lines = {line["id"]: line["findings"] for line in lines_of(judged / "scans.jsonl")}
    rows = [row for study in studies(rex.cohort, "valid") for row in lines[study.id]]
    for who in ("chance", "swapped"):
        dices = [row[who]["dice"] for row in rows if who in row]
        assert beside[who]["dice_per_finding"] == pytest.approx(np.mean(dices))
        assert dices != [row["dice"] for row in rows if who in row]
    assert sum(row["findings"] for row in found["categories"].values()) == len(flat)


def test_masks_beside_are_of_a_foreign_sentence_and_of_as_many_drawn_patches(
    rex: Any, line: Any, judged: Path
) -> None:
    """Slowly: what another sentence's mask is worth on the scan's own grid."""
    from simcrop.evaluation.grounding.finding_beside import drawn_like, foreign_sentences
    from simcrop.evaluation.grounding.finding_maps import maps_of
    from simcrop.evaluation.grounding.finding_threshold import Threshold

    model, cohort = load(line.run), open_cohort(rex.cohort)
    findings, valid = read_findings(cohort), cohort.select("valid")
    foreign = foreign_sentences(valid, findings, 0)
    said = {one.text: one.category for study in valid for one in findings[study.id]}
    threshold = Threshold(**json.loads((judged / "threshold.json").read_text())["threshold"])
    lines = {one["id"]: one["findings"] for one in lines_of(judged / "scans.jsonl")}
    seen = 0
    for study in valid:
        own, labels = findings[study.id], study.source_mask()
        maps, spacing = maps_of(model, study, own), spacing_of(study.source_affine)
        for row, (one, text) in enumerate(zip(own, foreign[study.id], strict=True)):
            chosen = threshold.chosen(maps.similarity[row : row + 1])[0]
            drawn = drawn_like(chosen, maps.similarity[row], study.id, one.number, 0)
            assert drawn.sum() == chosen.sum()
            assert (maps.similarity[row][drawn] > -np.inf).all()
            assert ("swapped" in lines[study.id][row]) == (text is not None)
            if text is None:
                continue
            assert said[text] not in {other.category for other in own}
            (other,) = maps_of(model, study, [replace(one, text=text)]).similarity
            mask = maps.spread.whole(threshold.chosen(other[None])[0])
            score = score_finding(mask, one.instances_in(labels), spacing, one.focal, one.complete)
            assert lines[study.id][row]["swapped"]["dice"] == pytest.approx(score.dice)
            seen += 1
    assert seen > 2


def test_the_page_has_every_figure_beside_what_it_must_beat(rex: Any, judged: Path) -> None:
    page, found = (judged / "report.html").read_text(), metrics(judged)
    for words in (
        "another sentence",
        "drawn patches",
        "By category",
        "Dice, mean of scans",
        "Not for diagnosis",
    ):
        assert words in page
    for of in (found, found["beside"]["swapped"], found["beside"]["chance"]):
        assert f"{of['dice_per_case']:.3f}" in page
    texts = pl.read_parquet(rex.cohort / "findings.parquet")["text"].to_list()
    assert not any(text in page for text in texts)


def test_finer_masks_lie_on_the_same_grid_and_are_another_result(
    simcrop: Callable, rex: Any, line: Any, judged: Path, tmp_path: Path
) -> None:
    words = ("ground-rex", line.run, rex.cohort, "--develop", "train", "--split", "valid")
    assert "1, 8 or 64 looks" in simcrop(*words, "--fine", 3, "--out", tmp_path / "out").refusal
    assert not (tmp_path / "out").exists()
    again = shutil.copytree(judged, tmp_path / "again")
    assert "other settings (fine)" in simcrop(*words, "--fine", 8, "--out", again, "--resume").refusal
    ran = simcrop(*words, "--fine", 8, "--out", tmp_path / "out")
    assert ran.code == 0, ran.err
    assert "another sentence" in ran.out
    assert metrics(tmp_path / "out")["fine"] == 8
    model, cohort = load(line.run), open_cohort(rex.cohort)
    half = [n // 2 for n in model.grid.patch]
    edges = 0
    for study in cohort.select("valid"):
        fine, plain = (
            np.asarray(nib.load(out / "masks" / f"{study.id}.nii.gz").dataobj)
            for out in (tmp_path / "out", judged)
        )
        assert fine.shape == plain.shape
        placement = study.placement(model.spec)
        cells = tuple(n // h for n, h in zip(model.grid.volume, half, strict=True))
        number = placement.to_source(np.arange(np.prod(cells), dtype=np.float32).reshape(cells))
        for mask in fine:
            of_cell = number[mask > 0]
            assert np.isfinite(of_cell).all()
            whole = np.isin(number, np.unique(of_cell))
            np.testing.assert_array_equal(whole, mask > 0)  # made of cells
        edges += int((fine != plain).sum())
    assert edges > 0


def test_the_threshold_is_written_before_the_judged_split_is_opened_and_does_not_depend_on_it(
    rex: Any, line: Any, judged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from simcrop.tasks.grounding import rex_judged
    from simcrop.tasks.grounding.ground_rex import ground_rex

    ids = {study.id for study in studies(rex.cohort, "valid")}
    maps_of, source_mask, opened = rex_judged.maps_of, Study.source_mask, list[str]()

    def watched(study: Study) -> None:
        if study.id in ids:
            assert (tmp_path / "out" / "threshold.json").is_file()
            opened.append(study.id)

    def looked(model: Any, study: Study, *rest: Any) -> Any:
        watched(study)
        return maps_of(model, study, *rest)

    def masked(study: Study) -> np.ndarray:
        watched(study)
        labels = source_mask(study)
        return labels[::-1].copy() if study.id in ids else labels

    monkeypatch.setattr(rex_judged, "maps_of", looked)
    monkeypatch.setattr(Study, "source_mask", masked)
    ground_rex(str(line.run), rex.cohort, tmp_path / "out", "train", "valid")
    assert set(opened) == ids
    assert (tmp_path / "out/threshold.json").read_bytes() == (judged / "threshold.json").read_bytes()
    assert metrics(tmp_path / "out")["dice_per_case"] != metrics(judged)["dice_per_case"]


def test_a_killed_job_goes_on_and_ends_with_the_same_bytes(
    simcrop: Callable, rex: Any, line: Any, judged: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(judged, out)
    lines = (out / "scans.jsonl").read_bytes().splitlines(keepends=True)
    kept = json.loads(lines[0])["id"]
    (out / "scans.jsonl").write_bytes(lines[0] + lines[1][:-20])
    for path in (out / "metrics.json", out / "submission.zip"):
        path.unlink()
    before = (out / "masks" / f"{kept}.nii.gz").stat().st_mtime_ns
    words = ("ground-rex", line.run, rex.cohort, "--out", out, "--develop", "train", "--split", "valid")
    assert "--resume continues it" in simcrop(*words).refusal
    assert simcrop(*words, "--resume").code == 0
    assert (out / "masks" / f"{kept}.nii.gz").stat().st_mtime_ns == before
    for name in ("metrics.json", "submission.zip", "threshold.json", "report.html"):
        assert (out / name).read_bytes() == (judged / name).read_bytes()


def test_the_withheld_split_has_a_submission_that_its_check_passes_and_no_scores(
    simcrop: Callable, rex: Any, line: Any, tmp_path: Path
) -> None:
    ran = simcrop("ground-rex", line.run, rex.cohort, "--out", tmp_path / "out")
    assert ran.code == 0, ran.err
    found = metrics(tmp_path / "out")
    assert (found["split"], found["judged_findings"], found["threshold"]["split"]) == ("test", 0, "valid")
    assert "dice_per_case" not in found
    path = tmp_path / "out/submission.zip"
    checked = simcrop("ground-rex", rex.cohort, "--check", path)
    assert checked.out.startswith(f"sound: {found['scans']} scans, {found['findings']} findings")
    assert "expected 300" in simcrop("ground-rex", "--check", path).refusal
    other = simcrop("ground-rex", rex.cohort, "--check", path, "--split", "valid")
    assert "is no scan of the split" in other.refusal


def test_a_damaged_scan_is_refused_and_the_rest_goes_on(
    simcrop: Callable, rex: Any, line: Any, judged: Path, tmp_path: Path
) -> None:
    cohort, out = tmp_path / "cohort", tmp_path / "out"
    shutil.copytree(rex.cohort, cohort)
    first, second = studies(cohort, "valid")[:2]
    first.path.unlink()
    second.files[2].write_bytes(b"no mask")
    words = ("--develop", "train", "--split", "valid", "--out", out)
    ran = simcrop("ground-rex", line.run, cohort, *words)
    assert ran.code == 1
    assert sum(row.startswith("refused: ") for row in ran.err.splitlines()) == 2
    refused = {one["id"]: one["reason"] for one in metrics(out)["refused"]}
    assert refused == {first.id: "missing-volume", second.id: "corrupt-volume"}
    assert metrics(out)["scans"] == metrics(judged)["scans"] - 2


def test_what_cannot_be_asked_is_refused_and_leaves_nothing(
    simcrop: Callable, rex: Any, line: Any, toy_cohort: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    for words, said in (
        ((line.run, toy_cohort), "marks no sentences"),
        ((line.run, rex.cohort, "--develop", "test"), "cannot be chosen on what is judged"),
        ((line.run, rex.cohort, "--split", "later"), "no study in split 'later'; it has test, train, valid"),
        ((line.run, rex.cohort, "--develop", "test", "--split", "valid"), "has no scan with masks"),
    ):
        assert said in simcrop("ground-rex", *words, "--out", out).refusal
        assert not out.exists()
    assert "needs MODEL COHORT --out DIR" in simcrop("ground-rex", line.run, rex.cohort).err


def test_patients_of_the_judged_split_choose_no_threshold(rex: Any, tmp_path: Path) -> None:
    from simcrop.tasks.grounding.ground_rex import sides

    cohort = tmp_path / "cohort"
    shutil.copytree(rex.cohort, cohort)
    table = pl.read_parquet(cohort / "studies.parquet")
    shared = table.filter(pl.col("split") == "valid")["patient"][0]
    first = table.filter(pl.col("split") == "train")["id"][0]
    table = table.with_columns(
        pl.when(pl.col("id") == first).then(pl.lit(shared)).otherwise(pl.col("patient")).alias("patient")
    )
    table.write_parquet(cohort / "studies.parquet")
    _, developing = sides(open_cohort(cohort), "train", "valid")
    assert first not in developing.index["id"]
    assert len(developing) == len(studies(rex.cohort, "train")) - 1


def lines_of(path: Path) -> Iterator[dict[str, Any]]:
    return map(json.loads, path.read_text().splitlines())


def test_results_hold_no_word_of_a_sentence(rex: Any, judged: Path) -> None:
    texts = pl.read_parquet(rex.cohort / "findings.parquet")["text"].to_list()
    written = "".join(
        (judged / n).read_text() for n in ("run.json", "metrics.json", "scans.jsonl", "threshold.json")
    )
    assert not any(text in written for text in texts)
    assert all("dice" in row for line in lines_of(judged / "scans.jsonl") for row in line["findings"])
