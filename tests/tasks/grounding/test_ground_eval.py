"""`simcrop ground-eval` on the toy line: figures against a slow reading of maps and masks, voxel by voxel on the scan's
own grid. Lengths in mm.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from nibabel.affines import apply_affine

from simcrop.data.report import sentences
from simcrop.data.store.cohort import open_cohort
from simcrop.errors import SimcropError
from simcrop.evaluation.asking import read_mask, text_of
from simcrop.evaluation.wording.marks import mark_of
from simcrop.model import Model, load
from simcrop.phantom.truth import read_truth
from simcrop.tasks.grounding import eval_asked as ground_eval_asked
from simcrop.tasks.grounding.ground_eval import GroundEvalOptions, ground_eval

K = 5


def in_three(cohort: Path, folder: Path) -> Path:
    """The same scans; every third patient judged, every third to choose by, the others to learn from."""
    shutil.copytree(cohort, folder, ignore=shutil.ignore_patterns("features", "sentences"))
    table = pl.read_parquet(folder / "studies.parquet")
    number = table["patient"].rank("dense") % 3
    split = number.replace_strict({0: "valid", 1: "develop", 2: "train"}, return_dtype=pl.String)
    table.with_columns(split.alias("split")).write_parquet(folder / "studies.parquet")
    return folder


@pytest.fixture(scope="module")
def cohort(line, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nobody may change it."""
    return in_three(line.cohort, tmp_path_factory.mktemp("grounded") / "cohort")


@pytest.fixture(scope="module")
def done(line, cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Judged once, with thresholds."""
    out = tmp_path_factory.mktemp("grounded") / "out"
    ground_eval(str(line.run), cohort, out, GroundEvalOptions(choose="develop", top_k=K))
    return out


def read(out: Path) -> dict[str, Any]:
    return json.loads((out / "metrics.json").read_text())


def slow_maps(model: Model, cohort: Path, truth: Any, split: str) -> list[dict[str, Any]]:
    """One sentence after the other, on the grid of the scan's file."""
    found = []
    for study in open_cohort(cohort).select(split):
        seen = model.look(study.volume())
        for sentence in truth.of(study.id):
            if sentence.shows:
                heat = seen.ground([text_of(study, sentence)], K)[0]
                mask = read_mask(truth.mask_path(study.id)) == sentence.mask_value
                placement = study.placement(model.spec)
                found.append(
                    {
                        "sentence": sentence,
                        "study": study,
                        "heat": heat,
                        "map": placement.to_source(heat.patches),
                        "mask": mask,
                        "inside": placement.holds_scan(model.grid.shape),
                        "placement": placement,
                    }
                )
    return found


def test_figures_are_those_of_a_slow_reading_of_the_voxels(line, cohort: Path, done: Path) -> None:
    model, truth, metrics = load(line.run), read_truth(line.raw), read(done)
    table = pl.read_csv(done / "sentences.csv", infer_schema_length=None)
    usual: dict[str, list[np.ndarray]] = {}
    for of in slow_maps(model, cohort, truth, "train"):
        usual.setdefault(of["sentence"].finding, []).append(
            np.where(of["inside"], of["heat"].patches, np.nan)
        )
    asked = slow_maps(model, cohort, truth, "valid")
    assert len(table) == len(asked) > 10
    rows = open_cohort(cohort).index["id"].to_list()
    for row, of in zip(table.sort("scan", "sentence").to_dicts(), asked, strict=True):
        sentence, mask, affine = of["sentence"], of["mask"], of["study"].source_affine
        assert (rows[row["scan"]], row["sentence"]) == (of["study"].id, sentence.sentence_index)
        assert (row["finding"], row["side"] or "") == (sentence.finding, sentence.side or "")
        assert row["lesion_ml"] == pytest.approx(mask.sum() * abs(np.linalg.det(affine[:3, :3])) / 1000)
        reached = np.isfinite(of["map"])
        if not (mask & reached).any():
            assert row["hit"] is None
            continue
        best = of["map"] == np.nanmax(of["map"])
        assert row["hit"] == float((best & mask).any())
        region = reached & (of["map"] >= metrics["thresholds"]["own"])
        assert row["dice"] == pytest.approx(2 * (region & mask).sum() / (region.sum() + mask.sum()), abs=1e-6)
        assert row["iou"] == pytest.approx((region & mask).sum() / (region | mask).sum(), abs=1e-6)
        one, other = of["map"][mask & reached], of["map"][~mask & reached]
        assert row["cnr"] == pytest.approx(
            (one.mean() - other.mean()) / np.sqrt(one.var() + other.var()), rel=1e-3
        )
        middle = of["heat"].boxes_mm[0].mean(0)
        voxels = apply_affine(affine, np.argwhere(mask))
        assert row["depth_mm"] == pytest.approx(abs(middle[2] - voxels[:, 2].mean()), abs=0.01)
        at = np.rint(apply_affine(np.linalg.inv(affine), middle)).astype(int)
        within = ((at >= 0) & (at < mask.shape)).all() and mask[tuple(at)]
        assert row["distance_mm"] == pytest.approx(
            0 if within else np.linalg.norm(voxels - middle, axis=1).min(), abs=0.01
        )
        touched = [(mask & box_of(of, low, high)).any() for low, high in of["heat"].boxes_mm]
        assert row["precision"] == pytest.approx(np.mean(touched))
        assert row["hit_k"] == float(any(touched))
        if sentence.finding in usual:
            mean = np.nanmean(np.stack(usual[sentence.finding]), axis=0)
            mean = np.where(of["inside"] & ~np.isnan(mean), mean, -np.inf)
            assert row["hit_prior"] == float((mask & (of["placement"].to_source(mean) == mean.max())).any())
        else:
            assert row["hit_prior"] is None


def box_of(of: dict[str, Any], low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Voxels of the file whose centres lie in a box in mm."""
    grid = np.stack(np.meshgrid(*map(np.arange, of["mask"].shape), indexing="ij"), axis=-1)
    mm = apply_affine(of["study"].source_affine, grid)
    return ((mm >= low - 1e-3) & (mm < high - 1e-3)).all(-1)


def test_metrics_hold_every_group_and_say_what_was_asked_of_whom(cohort: Path, done: Path) -> None:
    metrics, table = read(done), pl.read_csv(done / "sentences.csv", infer_schema_length=None)
    told = table.filter(pl.col("depth_mm").is_not_null())
    assert metrics["all"]["sentences"] == len(told)
    assert metrics["all"]["hit"]["own"] == pytest.approx(table["hit"].mean())
    over = (table["hit"] - table["hit_swapped"]).mean()
    assert metrics["all"]["hit"]["over_swapped"] == pytest.approx(over)
    for kind, of in metrics["findings"].items():
        assert of["hit"]["own"] == pytest.approx(told.filter(pl.col("finding") == kind)["hit"].mean())
    assert sum(of["sentences"] for of in metrics["sizes"].values()) == len(told)
    beyond = table.filter((pl.col("lesion_ml") > 0) & pl.col("recall").is_null())
    assert (metrics["beyond_input"], metrics["tells_all"]) == (len(beyond), True)
    assert set(metrics["sides"]) <= {"left", "right", "both"}
    assert (metrics["choose"], metrics["top_k"], metrics["refused"]) == ("develop", K, [])
    for who in ("own", "swapped", "prior", "random", "chance"):
        assert 0 <= metrics["all"]["hit"][who] <= 1
        assert metrics["all"]["hit"][f"{who}_low"] <= metrics["all"]["hit"][f"{who}_high"]
    studies = open_cohort(cohort).select("valid")
    denied = [s for study in studies for s in set(sentences(study.findings)) if mark_of(s) == "denied"]
    assert metrics["denied"] == len(denied)
    page = (done / "report.html").read_text()
    for words in ("By finding", "By size", "By side", "usual map", "random encoder"):
        assert words in page
    assert not (done / "asked").exists()


def test_what_leaves_the_cohort_holds_no_word_of_a_report_and_no_name(cohort: Path, done: Path) -> None:
    written = b"".join(path.read_bytes() for path in done.iterdir())
    index = open_cohort(cohort).index
    private = {sentence for text in index["findings"] for sentence in sentences(text)}
    private |= set(index["id"]) | {f'"{patient}"' for patient in index["patient"]}
    assert not [words for words in private if words.encode() in written]


def test_a_model_that_reads_nothing_beats_no_other_sentence(
    simcrop: Callable, line, cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Model.encode
    monkeypatch.setattr(Model, "encode", lambda self, texts: real(self, ["lung"]).expand(len(texts), -1))
    ran = simcrop("ground-eval", line.run, cohort, "--out", tmp_path / "out", "--choose", "develop")
    assert ran.code == 0, ran.err
    metrics = read(tmp_path / "out")
    for measure in ("hit", "precision", "dice", "depth_mm"):
        of = metrics["all"][measure]
        assert (of["over_swapped"], of["over_swapped_low"], of["over_swapped_high"]) == (0, 0, 0)
    for name in ("all", "denied", "absent"):
        assert metrics["says_nothing"][f"auroc_{name}"] == 0.5


def test_killed_it_goes_on_where_it_was_and_ends_the_same(
    simcrop: Callable, line, cohort: Path, done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("ground-eval", line.run, cohort, "--out", tmp_path / "out", "--choose", "develop", "--top-k", K)
    real, written = ground_eval_asked.write_answers, list[Path]()

    def dying(path: Path, answers: Any) -> None:
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(path)
        real(path, answers)

    monkeypatch.setattr(ground_eval_asked, "write_answers", dying)
    ran = simcrop(*words)
    assert ran.code == 130
    assert "--resume continues" in ran.err
    assert simcrop(*words).code == 2
    assert "other settings (questions, seed)" in simcrop(*words, "--resume", "--seed", 7).refusal
    lines = (shutil.copytree(line.raw / "truth", tmp_path / "raw/truth") / "sentences.jsonl").read_text()
    (tmp_path / "raw/truth/sentences.jsonl").write_text(lines.replace('"mask_value": 1', '"mask_value": 2'))
    drawn_anew = simcrop(*words, "--resume", "--truth", tmp_path / "raw")
    assert "other settings (questions)" in drawn_anew.refusal
    written[0].write_bytes(written[0].read_bytes()[:100])
    seen: list[Path] = []
    monkeypatch.setattr(
        ground_eval_asked, "write_answers", lambda path, of: (seen.append(path), real(path, of))
    )
    assert simcrop(*words, "--resume").code == 0
    assert written[1] not in seen
    assert written[0] in seen
    assert read(tmp_path / "out") == read(done)
    for name in ("sentences.csv", "report.html"):
        assert (tmp_path / "out" / name).read_bytes() == (done / name).read_bytes()
    monkeypatch.setattr(ground_eval_asked, "write_answers", lambda *_: pytest.fail("asked again"))
    assert simcrop(*words, "--resume").code == 0


def test_a_damaged_scan_and_a_mask_that_does_not_fit_are_refused_and_the_rest_goes_on(
    simcrop: Callable, line, cohort: Path, done: Path, tmp_path: Path
) -> None:
    mine = shutil.copytree(cohort, tmp_path / "cohort")
    truth = shutil.copytree(line.raw / "truth", tmp_path / "raw" / "truth")
    studies = [study for study in open_cohort(mine).select("valid") if read_truth(line.raw).of(study.id)]
    studies[0].path.write_bytes(b"nothing")
    (truth / f"{studies[1].id}_lesions.nii.gz").write_bytes(b"nothing")
    words = ("ground-eval", line.run, mine, "--out", tmp_path / "out", "--truth", tmp_path / "raw")
    ran = simcrop(*words, "--top-k", K)
    assert ran.code == 1
    assert "2 scans refused" in ran.err
    refused = {of["scan"]: of["reason"] for of in read(tmp_path / "out")["refused"]}
    rows = open_cohort(mine).index["id"].to_list()
    assert refused[rows.index(studies[0].id)] == "unreadable-volume"
    assert len(refused) == 2
    before, after = (pl.read_csv(out / "sentences.csv") for out in (done, tmp_path / "out"))
    kept = before.filter(~pl.col("scan").is_in(list(refused)))
    assert after.select("scan", "sentence", "hit", "cnr").equals(
        kept.select("scan", "sentence", "hit", "cnr")
    )
    assert read(tmp_path / "out")["thresholds"] is None
    assert after["dice"].null_count() == len(after)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--choose", "valid"), "must not be chosen on the split that is judged"),
        (("--choose", "nowhere"), "no study in split 'nowhere'"),
        (("--split", "nowhere"), "no study in split 'nowhere'"),
        (("--train", "valid"), "share"),
        (("--truth", "nowhere"), "not found"),
        (("--sentences", "nowhere.csv"), "nowhere.csv"),
    ],
)
def test_what_cannot_be_judged_honestly_is_refused_before_any_work(
    simcrop: Callable, line, cohort: Path, tmp_path: Path, words: tuple[str, str], said: str
) -> None:
    ran = simcrop("ground-eval", line.run, cohort, "--out", tmp_path / "out", *words)
    assert said in ran.refusal
    assert not (tmp_path / "out").exists()


def test_the_same_is_refused_of_a_function(line, cohort: Path, tmp_path: Path) -> None:
    with pytest.raises(SimcropError, match="must not be chosen"):
        ground_eval(str(line.run), cohort, tmp_path / "out", GroundEvalOptions(choose="valid"))


def test_a_mask_that_was_drawn_anew_is_another_result(
    simcrop: Callable, line, cohort: Path, done: Path, tmp_path: Path
) -> None:
    out, raw = shutil.copytree(done, tmp_path / "out"), tmp_path / "raw"
    truth = shutil.copytree(line.raw / "truth", raw / "truth")
    words = ("ground-eval", line.run, cohort, "--out", out, "--choose", "develop", "--top-k", K)
    words += ("--truth", raw, "--resume")
    assert simcrop(*words).code == 0
    study = next(of for of in open_cohort(cohort).select("valid") if read_truth(raw).of(of.id))
    (truth / f"{study.id}_lesions.nii.gz").write_bytes(b"another")
    assert "other settings (masks)" in simcrop(*words).refusal


def test_a_result_is_there_until_the_first_scan_of_the_one_that_replaces_it(
    simcrop: Callable, line, cohort: Path, done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All scans are refused: their features are no numbers."""
    out = shutil.copytree(done, tmp_path / "out")
    words = ("ground-eval", line.run, cohort, "--out", out, "--top-k", K, "--overwrite")
    real = ground_eval_asked.regions
    with monkeypatch.context() as patched:
        patched.setattr(ground_eval_asked, "regions", lambda *told: real(*told) * np.nan)
        assert "could be asked: not-finite" in simcrop(*words).refusal
    assert {path.name: path.read_bytes() for path in out.iterdir()} == {
        path.name: path.read_bytes() for path in done.iterdir()
    }
    assert simcrop(*words).code == 0
    assert {path.name for path in out.iterdir()} == {path.name for path in done.iterdir()}
    assert read(out)["choose"] is None
