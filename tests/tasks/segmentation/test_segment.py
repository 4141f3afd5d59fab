"""`simcrop segment` at toy size: a run, its judgement, and folds; stopped, continued, and refused."""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from lungs import TOY, toy

from simcrop.data.samples.windows import as_channels
from simcrop.data.store.cohort import Study, open_cohort
from simcrop.data.volume import spacing_of
from simcrop.engine.progress import silent
from simcrop.errors import SimcropError
from simcrop.evaluation.segmentation import score_scan
from simcrop.files.digest import digest_of_files, digest_of_names
from simcrop.model.segmenter import load_segmenter
from simcrop.tasks.folder import read_run
from simcrop.tasks.segmentation.folds import folds_of, segment_folds
from simcrop.tasks.segmentation.judged import PICTURES, judge_studies, kept_pictures
from simcrop.tasks.segmentation.segment import segment
from simcrop.tasks.segmentation.table import JUDGED, TABLE, read_table

NAMES = ("left lung", "right lung", "trachea")


def sets(*more: str) -> list[str]:
    return [word for setting in (*TOY, *more) for word in ("--set", setting)]


@pytest.fixture(scope="module")
def run(marked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("segment") / "run"
    assert segment(marked, toy(), folder).finished
    return folder


def test_model_is_judged_by_the_test_split_on_the_grid_of_the_file(run: Path, marked: Path) -> None:
    (scan,), (study,) = read_table(run), list(open_cohort(marked).select("test"))
    predicted = load_segmenter(run, "cpu").labels_of(study)
    assert predicted.shape == study.source_shape != study.shape
    truth = as_channels(study.source_mask(), (3, 4, 5))
    by_hand = score_scan(
        study.id, "0", predicted, truth, spacing_of(study.source_affine), dict(enumerate(NAMES, 1))
    )
    assert scan.scores.study == study.id
    assert str(scan.scores.scores) == str(by_hand.scores)
    assert scan.truth == study.source_mask_checksum

    found = json.loads((run / "metrics.json").read_text())
    assert found["classes"] == list(NAMES)
    assert found["dice"] == pytest.approx(np.mean([score.dice for score in by_hand.scores.values()]))
    assert found["present:trachea"] == 1
    assert found["split_hash"] == digest_of_names([study.patient])
    assert found["training"]["steps"] == 3
    config = json.loads((run / "model/config.json").read_text())
    assert config["provenance"]["studies"] == 8
    assert config["architecture"]["classes"] == list(NAMES)


def test_a_run_leaves_its_page_with_the_worst_scans_and_nothing_half(run: Path) -> None:
    assert {path.name for path in run.iterdir()} == {
        *("run.json", "journal.jsonl", "checkpoints", "model"),
        *("metrics.json", "report.html", "segmentation.parquet", "worst"),
    }
    page = (run / "report.html").read_text()
    assert "Judged by the split test, by which nothing was chosen." in page
    assert "Class by class" in page
    assert page.count("<img") == len(list((run / "worst").iterdir())) == 1


def test_stopped_run_goes_on_to_the_same_bytes(run: Path, marked: Path, tmp_path: Path) -> None:
    def stop(done: int, *_: object) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        segment(marked, toy(), tmp_path / "run", progress=stop)
    assert not (tmp_path / "run/metrics.json").exists()
    assert segment(marked, toy(), tmp_path / "run", resume=True).finished
    for name in ("model/model.safetensors", TABLE):
        assert digest_of_files(tmp_path / "run" / name) == digest_of_files(run / name)


def nothing_found(study: Study) -> np.ndarray:
    return np.zeros(study.source_shape, np.int16)


def test_judgement_that_was_killed_goes_on_where_it_was(marked: Path, tmp_path: Path) -> None:
    studies, asked = open_cohort(marked), list[str]()

    def half(study: Study) -> np.ndarray:
        if len(asked) == 4:
            raise KeyboardInterrupt
        asked.append(study.id)
        return nothing_found(study)

    def whole(study: Study) -> np.ndarray:
        asked.append(study.id)
        return nothing_found(study)

    with pytest.raises(KeyboardInterrupt):
        judge_studies(studies, NAMES, half, 2.0, tmp_path, silent)
    with (tmp_path / JUDGED).open("ab") as file:
        file.write(b'{"id": "torn')
    scans = judge_studies(studies, NAMES, whole, 2.0, tmp_path, silent)
    assert asked == [scan.scores.study for scan in scans] == studies.index["id"].to_list()
    assert all(score.missed for scan in scans for score in scan.scores.scores.values())
    assert len(kept_pictures(tmp_path, scans)) == 10
    assert len(kept_pictures(tmp_path, scans[:3])) == len(list((tmp_path / PICTURES).iterdir())) == 3


def test_whoever_was_learned_from_is_not_judged(marked: Path, tmp_path: Path) -> None:
    """Flaw 4: validation cases lay inside the test cases."""
    segment(marked, toy("data.split=", "optim.steps=1"), tmp_path / "run")  # learns from all ten
    assert not (tmp_path / "run" / TABLE).exists()
    assert json.loads((tmp_path / "run/metrics.json").read_text())["scans_left_out"] == 1
    page = (tmp_path / "run/report.html").read_text()
    assert "1 of its scans are of patients that were learned from" in page
    assert "nothing is known of how good the masks are" in page


def test_folds_judge_every_scan_once_by_a_model_that_did_not_learn_from_it(
    simcrop: Callable, marked: Path, tmp_path: Path
) -> None:
    words = ("segment", marked, "--recipe", "segment-tiny", *sets("optim.steps=1"), "--folds", 2)
    ran = simcrop(*words, "--out", tmp_path / "folds")
    assert ran.code == 0, ran.err
    ids = set(open_cohort(marked).index["id"])
    table = pl.read_parquet(tmp_path / "folds" / TABLE)
    assert table.height == 3 * len(ids)
    assert set(table["id"]) == ids
    held = {fold: set(table.filter(pl.col("fold") == fold)["id"]) for fold in (1, 2)}
    assert [len(of) for of in held.values()] == [5, 5]
    for fold, of in held.items():
        assert set(read_table(tmp_path / f"folds/fold-{fold}")[0].scores.scores) == set(NAMES)
        assert {scan.scores.study for scan in read_table(tmp_path / f"folds/fold-{fold}")} == of
        assert (read_run(tmp_path / f"folds/fold-{fold}") or {})["settings"]["fold"] == f"{fold} of 2"
        config = json.loads((tmp_path / f"folds/fold-{fold}/model/config.json").read_text())
        assert config["provenance"]["studies"] == 5
    assert json.loads((tmp_path / "folds/metrics.json").read_text())["segmentation_scans"] == 10
    assert "Fold by fold" in (tmp_path / "folds/report.html").read_text()

    for name in ("metrics.json", "fold-2/metrics.json"):  # killed before the second was judged
        (tmp_path / "folds" / name).unlink()
    before = digest_of_files(tmp_path / "folds" / TABLE)
    ran = simcrop(*words, "--out", tmp_path / "folds", "--resume")
    assert ran.code == 0, ran.err
    assert "fold 1" not in ran.err
    assert digest_of_files(tmp_path / "folds" / TABLE) == before


def started_from(run: Path, folder: Path, **changes: str) -> Path:
    """A model folder as `run` has it, with another `split` that it learned from, or another `cohort`."""
    shutil.copytree(run / "model", folder)
    config = json.loads((folder / "config.json").read_text())
    config["architecture"]["data"]["split"] = changes.get("split", "train")
    config["provenance"]["cohort"] = changes.get("cohort", config["provenance"]["cohort"])
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_patients_whom_the_model_at_the_start_has_seen_judge_nothing(
    simcrop: Callable, run: Path, marked: Path, tmp_path: Path
) -> None:
    """Those of the test split, and of all folds together; said before anything is learned."""
    every = started_from(run, tmp_path / "every", split="")
    words = ("segment", marked, "--recipe", "segment-tiny", "--out", tmp_path / "run")
    ran = simcrop(*words, *sets(f"init.model={every}"))
    assert "the model that this one started from and the test split share 1 patients" in ran.refusal
    ran = simcrop(*words, *sets(f"init.model={run}"), "--folds", 2)
    assert "share 8 patients" in ran.refusal
    assert not (tmp_path / "run").exists()
    shutil.copytree(run, tmp_path / "run")
    ran = simcrop(*words, *sets(f"init.model={every}"), "--resume", "--overwrite")
    assert "the test split share 1 patients" in ran.refusal


@pytest.mark.parametrize(
    ("cohort", "words"),
    [(None, "has seen none of these patients"), ("other", "has seen these patients is not known")],
)
def test_a_run_says_what_is_known_of_the_model_at_its_start(
    run: Path, marked: Path, tmp_path: Path, cohort: str | None, words: str
) -> None:
    source = started_from(run, tmp_path / "source", **({"cohort": cohort} if cohort else {}))
    assert segment(marked, toy("optim.steps=1", f"init.model={source}"), tmp_path / "run").finished
    assert words in json.loads((tmp_path / "run/metrics.json").read_text())["note"]
    assert words in (tmp_path / "run/report.html").read_text()
    if cohort:
        assert segment_folds(
            marked, toy("optim.steps=1", f"init.model={source}"), tmp_path / "folds", 2
        ).finished
        assert words in json.loads((tmp_path / "folds/metrics.json").read_text())["note"]
        assert words in (tmp_path / "folds/report.html").read_text()


def test_folds_are_drawn_by_patient() -> None:
    patients = [f"p{n // 3}" for n in range(30)]
    folds = folds_of(patients, 4, seed=1)
    assert all(len(set(folds[n * 3 : n * 3 + 3])) == 1 for n in range(10))
    assert sorted(np.bincount(folds)[1:] // 3) == [2, 2, 3, 3]
    assert (folds == folds_of(patients, 4, seed=1)).all()
    assert (folds != folds_of(patients, 4, seed=2)).any()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--folds", "11"), "--folds 11: from 2 to as many as there are patients with masks, 10"),
        (("--set", "input.spacing_mm=[8, 7, 12]"), "ingest it with --spacing 8,7,12"),
        (("--set", "input.shape=[15, 12, 8]"), "patch"),
        (("--set", "classes=[left lungs]"), "did you mean left lung?"),
        (("--set", "optim.warmup_epochs=60"), "leave nothing of epochs"),
        (("--set", "vary.flips=[0.5, 0, 0]"), "'left lung' has a side"),
    ],
)
def test_what_cannot_be_learned_is_one_line(
    simcrop: Callable, marked: Path, tmp_path: Path, more: Sequence[str], words: str
) -> None:
    line = ("segment", marked, "--recipe", "segment-tiny", "--out", tmp_path / "run", *sets(), *more)
    assert words in simcrop(*line).refusal
    assert not (tmp_path / "run").exists()


def test_each_verb_trains_its_own_methods(simcrop: Callable, marked: Path, tmp_path: Path) -> None:
    out = ("--out", tmp_path / "run")
    assert (
        "trained by `simcrop segment`"
        in simcrop("pretrain", marked, "--recipe", "segment-tiny", *out).refusal
    )
    assert "trained by `simcrop pretrain`" in simcrop("segment", marked, "--recipe", "mae-tiny", *out).refusal
    assert not (tmp_path / "run").exists()


def test_a_cohort_without_masks_teaches_nothing(toy_cohort: Path, tmp_path: Path) -> None:
    with pytest.raises(SimcropError, match="has a mask to learn from"):
        segment(toy_cohort, toy(), tmp_path / "run")
    with pytest.raises(SimcropError, match="has a mask to learn from"):
        segment_folds(toy_cohort, toy(), tmp_path / "run", 2)
    assert not (tmp_path / "run").exists()


def test_cohort_without_a_split_held_out_says_so(
    marked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort = open_cohort(marked)
    alone = replace(cohort, index=cohort.index.filter(pl.col("split") == "train"))
    monkeypatch.setattr("simcrop.tasks.training.train.open_cohort", lambda _: alone)
    segment(marked, toy("optim.steps=1"), tmp_path / "run")
    assert "No scan is left to judge by" in (tmp_path / "run/report.html").read_text()
    assert "dice" not in json.loads((tmp_path / "run/metrics.json").read_text())


def test_folds_that_fail_before_a_step_leave_those_that_they_would_replace(
    simcrop: Callable, marked: Path, tmp_path: Path
) -> None:
    out = tmp_path / "folds"
    words = ("segment", marked, "--folds", 2, "--out", out, *sets("optim.steps=1"), "--recipe")
    assert simcrop(*words, "segment-tiny").code == 0
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    for recipe, wrong in (("mae-tiny", ()), ("segment-tiny", ("--set", "classes=[left lungs]"))):
        assert simcrop(*words, recipe, *wrong, "--overwrite").refusal
        assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    ran = simcrop(*words, "segment-tiny", "--overwrite", "--set", "seed=5")
    assert ran.code == 0, ran.err
    assert {path.name for path in out.iterdir()} == {path.relative_to(out).parts[0] for path in before}
    assert (read_run(out / "fold-1") or {})["settings"]["seed"] == 5
