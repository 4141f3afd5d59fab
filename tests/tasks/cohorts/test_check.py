"""`simcrop check`: a page whatever the cohort holds, every trouble named, nothing private on it."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from simcrop.data.store.cohort import open_cohort

SECRET = "umbrageous wombatlike nodule"


@pytest.fixture
def troubled(broken_folder, tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """A sound scan with a report, its twin without, every kind of broken file, and a report without a scan."""
    from simcrop.data.ingest import ingest

    raw, reasons = broken_folder
    good = raw / "good.nii.gz"
    shutil.copyfile(good, raw / "twin.nii.gz")
    (raw / "Zebrafinch").mkdir()
    (raw / "Zebrafinch/ct.nii").write_bytes(b"no scan")
    rows = (f"good,Zebrafinch,{SECRET}. Clear.,train,1", "twin,Quilla,,valid,0", "lost,Nobody,Clear.,train,1")
    (raw / "reports.csv").write_text("id,patient,findings,split,label:Nodule\n" + "\n".join(rows))
    ingest(raw, "folder", tmp_path / "cohort")
    return tmp_path / "cohort", reasons


def page_of(out: Path) -> str:
    return (out / "report.html").read_text("utf-8")


def test_phantom_cohort_gets_a_page_with_every_part(
    simcrop: Callable, toy_cohort: Path, tmp_path: Path
) -> None:
    ran = simcrop("check", toy_cohort, "--out", tmp_path / "out")
    assert ran.code == 0, ran.err
    assert "every volume is what was ingested" in ran.out
    assert ran.out.splitlines()[-1] == f"open {tmp_path / 'out/report.html'}"
    page = page_of(tmp_path / "out")
    headings = re.findall(r"<h2>([^<]+)</h2>", page)
    assert headings[:4] == ["What stands out", "Scans", "Hounsfield units", "Geometry"]
    assert headings[4:] == ["Refusals", "Duplicates", "Reports", "Labels"]
    assert page.count("data:image/png") == len(pl.read_parquet(toy_cohort / "studies.parquet"))
    assert re.findall(r"https?:|url\(|<link|<script", page) == []
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["metrics.json", "report.html", "run.json"]


def test_every_trouble_is_counted_and_named(simcrop: Callable, troubled, tmp_path: Path) -> None:
    cohort, reasons = troubled
    ran = simcrop("check", cohort, "--out", tmp_path / "out")
    assert ran.code == 0, ran.err
    found = json.loads((tmp_path / "out/metrics.json").read_text())
    assert set(reasons.values()) <= found["refused"].keys()
    assert found["refused"]["no-volume"] == 1
    assert found["twins"] == [["good", "twin"]]
    assert found["odd"]["scans without a report"] == ["twin"]
    assert found["odd"]["reports without a scan"] == ["lost"]
    assert found["labels"] == {"Nodule": [1, 2]}
    page = page_of(tmp_path / "out")
    assert "2 patients, in train and valid" in page
    for reason in reasons.values():
        assert f"<td>{reason}</td>" in page


def test_masks_are_counted_by_class_and_held_against_their_checksums(
    simcrop: Callable, toy_cohort: Path, tmp_path: Path, mark: Callable
) -> None:
    cohort = Path(shutil.copytree(toy_cohort, tmp_path / "cohort"))
    first, second, *_ = open_cohort(cohort)
    labels = np.zeros(first.source_shape)
    labels[9:, 9:, 9:] = 2
    mark(cohort, {first.id: labels, second.id: labels}, {1: "left lung", 2: "right lung"})
    ran = simcrop("check", cohort, "--out", tmp_path / "out")
    assert "classes that no mask holds: left lung" in ran.out
    found = json.loads((tmp_path / "out/metrics.json").read_text())
    assert found["classes"] == {"left lung": [0, 2], "right lung": [2, 2]}
    assert "<h2>Masks</h2>" in page_of(tmp_path / "out")
    (cohort / f"source-masks/{second.id}.b2nd").write_bytes(b"")
    simcrop("check", cohort, "--out", tmp_path / "again")
    again = json.loads((tmp_path / "again/metrics.json").read_text())
    assert again["odd"]["stored volumes damaged or gone"] == [second.id]


def test_nothing_private_is_shown(simcrop: Callable, troubled, tmp_path: Path) -> None:
    cohort, _ = troubled
    ran = simcrop("check", cohort, "--out", tmp_path / "out")
    shown = "".join(p.read_text("utf-8") for p in sorted((tmp_path / "out").iterdir())) + ran.out + ran.err
    assert "wombatlike" not in shown
    assert "Quilla" not in shown
    shown = shown.replace(str(tmp_path / "out"), "").replace(str(cohort), "")
    assert str(tmp_path) not in shown
    assert "Zebrafinch/" not in shown


def test_what_a_reader_guessed_stands_in_the_ledger_and_on_the_page(
    simcrop: Callable, chests: dict[str, Callable[..., Path]], tmp_path: Path
) -> None:
    from simcrop.data.ingest import ingest

    chests["nifti"](tmp_path / "raw/placed.nii", hu := chests["hu"]())
    np.savez(tmp_path / "raw/bare.npz", hu.transpose(2, 0, 1)[:-1])
    ingest(tmp_path / "raw", "folder", tmp_path / "cohort")
    ledger = {
        row["id"]: row["sentence"] for row in pl.read_parquet(tmp_path / "cohort/ledger.parquet").to_dicts()
    }
    notes = [part for part in ledger["bare"].split("; ") if part.startswith("guessed ")]
    assert [note.split(",")[0] for note in notes] == [
        "guessed voxels of 0.75 x 0.75 x 1.5 mm",
        "guessed axes L",
        "guessed position 0",
    ]
    assert "guessed" not in ledger["placed"]
    ran = simcrop("check", tmp_path / "cohort", "--out", tmp_path / "out")
    assert "size, place, unit or side guessed: 1 (bare)" in ran.out
    found = json.loads((tmp_path / "out/metrics.json").read_text())
    assert found["odd"]["size, place, unit or side guessed"] == ["bare"]
    assert found["notes"] == {note: ["bare"] for note in notes}
    for note in notes:
        assert note in page_of(tmp_path / "out")


def test_reports_without_a_known_head_are_counted_on_the_page_and_the_terminal(
    simcrop: Callable, chests: dict[str, Callable[..., Path]], tmp_path: Path
) -> None:
    texts = {
        "bare": "Clear lungs.",
        "guessed": "TECHNIQUE: CT. Clear lungs. IMPRESSION: y",
        "known": "FINDINGS: Clear.",
    }
    for name, text in texts.items():
        chests["nifti"](tmp_path / f"raw/{name}.nii", chests["hu"]())
        (tmp_path / f"raw/{name}.txt").write_text(text)
    assert simcrop("ingest", tmp_path / "raw", "--layout", "folder", "--out", tmp_path / "cohort").code == 0
    ran = simcrop("check", tmp_path / "cohort", "--out", tmp_path / "out")
    assert "reports without a known head: 2 (bare, guessed)" in ran.out
    sentence = "Whole reports without a known head, their findings taken from what no head names: 2."
    assert sentence in page_of(tmp_path / "out")


def test_damaged_volumes_are_named_and_the_exit_code_says_so(
    simcrop: Callable, troubled, tmp_path: Path
) -> None:
    cohort, _ = troubled
    files = {path.stem: path for path in (cohort / "volumes").iterdir()}
    shutil.copyfile(files["twin"], tmp_path / "kept")
    files["good"].write_bytes(files["good"].read_bytes()[:200])
    ran = simcrop("check", cohort, "--out", tmp_path / "out")
    assert ran.code == 1
    assert "stored volumes damaged or gone: 1 (good)" in ran.out
    files["good"].unlink()
    assert simcrop("check", cohort, "--out", tmp_path / "out", "--overwrite").code == 1


def test_exchanged_volume_is_found_only_by_verifying(
    simcrop: Callable, toy_cohort: Path, tmp_path: Path
) -> None:
    cohort = Path(shutil.copytree(toy_cohort, tmp_path / "cohort"))
    first, second, *_ = sorted((cohort / "volumes").iterdir())
    shutil.copyfile(second, first)
    assert simcrop("check", cohort, "--out", tmp_path / "fast", "--no-verify").code == 0
    assert "checksums were not compared" in page_of(tmp_path / "fast")
    ran = simcrop("check", cohort, "--out", tmp_path / "out", "--verify")
    assert ran.code == 1
    assert f"damaged or gone: 1 ({first.stem})" in ran.out


def test_box_is_that_of_the_recipe(simcrop: Callable, toy_cohort: Path, tmp_path: Path) -> None:
    assert simcrop("check", toy_cohort, "--out", tmp_path / "paper").code == 0
    assert "224 × 224 × 112 voxels of 1.5 × 1.5 × 3 mm, 336 × 336 × 336 mm" in page_of(tmp_path / "paper")
    assert simcrop("check", toy_cohort, "--out", tmp_path / "tiny", "--recipe", "simcrop-tiny").code == 0
    assert "64 × 64 × 32 voxels of 5.5 × 5.5 × 10 mm" in page_of(tmp_path / "tiny")
    assert "stored at another spacing" in page_of(tmp_path / "tiny")


def test_cohort_without_a_single_scan_still_gets_its_page(simcrop: Callable, tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw/ct.nii.gz").write_bytes(b"")
    assert simcrop("ingest", tmp_path / "raw", "--out", tmp_path / "cohort").code == 1
    ran = simcrop("check", tmp_path / "cohort", "--out", tmp_path / "out")
    assert ran.code == 0, ran.err
    assert ran.out.startswith("0 scans of 0 patients; refused: 1 empty-file")
    assert "<td>empty-file</td>" in page_of(tmp_path / "out")


def test_only_a_sample_is_read_where_nothing_is_verified(
    simcrop: Callable, toy_cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simcrop.tasks.cohorts.check_volumes.SAMPLE", 3)
    monkeypatch.setattr("simcrop.tasks.cohorts.check_volumes.PICTURES", 2)
    assert simcrop("check", toy_cohort, "--out", tmp_path / "out", "--no-verify").code == 0
    found = json.loads((tmp_path / "out/metrics.json").read_text())
    assert (found["looked_at"], found["verified"]) == (3, 0)
    assert page_of(tmp_path / "out").count("data:image/png") == 2


def test_wrong_usage_is_one_line_and_leaves_nothing(
    simcrop: Callable, toy_cohort: Path, tmp_path: Path
) -> None:
    assert "no cohort" in simcrop("check", tmp_path, "--out", tmp_path / "out").refusal
    assert (
        "recipe" in simcrop("check", toy_cohort, "--out", tmp_path / "out", "--recipe", "simcrop-big").refusal
    )
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine.txt").write_text("mine")
    assert "choose another --out" in simcrop("check", toy_cohort, "--out", tmp_path / "full").refusal


def test_failing_page_leaves_the_earlier_one(
    simcrop: Callable, toy_cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert simcrop("check", toy_cohort, "--out", tmp_path / "out").code == 0
    before = page_of(tmp_path / "out")

    def burst(*_: object) -> None:
        raise KeyError("label")

    monkeypatch.setattr("simcrop.tasks.cohorts.check_page.add_labels", burst)
    ran = simcrop("check", toy_cohort, "--out", tmp_path / "out", "--overwrite")
    assert (ran.code, "KeyError in tasks/cohorts/check_page.py" in ran.err) == (2, True)
    assert page_of(tmp_path / "out") == before


def test_how_many_processes_read_changes_nothing(
    toy_cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from simcrop.data.preprocess import paper
    from simcrop.data.store.cohort import open_cohort
    from simcrop.tasks.cohorts.check_volumes import look_at

    monkeypatch.setattr(
        "simcrop.tasks.cohorts.check_volumes.PICTURES", 0
    )  # to draw them, a process loads much
    shutil.copytree(toy_cohort, tmp_path / "cohort")
    cohort = open_cohort(tmp_path / "cohort")
    cohort[2].path.write_bytes(b"not what it was")
    one, two = (look_at(cohort, paper, verify=True, workers=workers) for workers in (1, 2))
    assert one.damaged == two.damaged == (cohort[2].id,)
    assert one.numbers.ids == two.numbers.ids
    np.testing.assert_array_equal(one.numbers.shares, two.numbers.shares)
    assert len(two.numbers) == len(cohort) - 1
