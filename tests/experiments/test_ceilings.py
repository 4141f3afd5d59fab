"""The ceilings at toy size: every reader, beside the size of what it reads, and none asked twice."""

import json
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from simcrop.experiments import ceilings
from simcrop.experiments.ceilings import readers, reproduce_ceiling, voxels_of_lesions
from simcrop.experiments.cohorts import PhantomCohorts, Plan, draw_cohorts

SMALL = (
    "input.shape=[48, 40, 32]",
    "input.patch=[8, 8, 4]",
    "optim.steps=1",
    "optim.batch=4",
)
PLAN = Plan(12, 0, 0, 10, "real")
EVERY = readers(PLAN.labels, "simcrop-plus-tiny")
FEW = [
    reader
    for reader in EVERY
    if "linear" not in reader.name and "stem, m" not in reader.name and "0.1 of" not in reader.name
]


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Interrupted after its first figure, then resumed."""
    folder = tmp_path_factory.mktemp("ceilings") / "out"

    def stop_at_the_first(line: str) -> None:
        if line.startswith("ceiling: "):
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ceilings, "draw_cohorts", partial(draw_cohorts, workers=1))
        patch.setattr(ceilings, "readers", lambda *_: FEW)
        patch.setattr("simcrop.evaluation.heads.probe.FOLDS", 1)
        run = partial(reproduce_ceiling, folder, "tiny", SMALL, plan=PLAN, at_once=1)
        with pytest.raises(KeyboardInterrupt):
            run(say=stop_at_the_first)
        kept = json.loads((folder / "ceiling.json").read_text())
        assert list(kept) == ["hand-made statistics"]
        said: list[str] = []
        run(say=said.append, resume=True)
    assert not [line for line in said if line.startswith("ceiling: hand-made statistics 0")]
    return folder


def results(out: Path) -> dict[str, Any]:
    return json.loads((out / "results.json").read_text())


def test_every_reader_says_what_it_reads_of_every_finding(out: Path) -> None:
    found = results(out)["ceiling"]
    assert list(found) == [reader.name for reader in FEW]
    assert all(list(reader["labels"]) == list(PLAN.labels) for reader in found.values())
    trained = {reader.name: reader.arm for reader in FEW if reader.arm is not None}
    assert len(trained) == 3
    assert {arm.key for arm in trained.values()} == {
        path.name.removesuffix("-0") for path in (out / "runs").iterdir()
    }


def test_fewer_labels_are_fewer_patients(out: Path) -> None:
    scans = [
        json.loads((out / "runs" / f"taught-{name}-0" / "model" / "config.json").read_text())["provenance"]
        for name in ("statistics-stem-0-3-of-the-labels-max", "statistics-stem-attention")
    ]
    few, every = (found["studies"] for found in scans)
    assert 1 <= few < every == len(PhantomCohorts(out / "cohorts", PLAN).open("pretrain").select("train"))


def test_readers_differ_in_the_eye_or_in_the_labels() -> None:
    assert len({reader.name for reader in EVERY}) == len(EVERY) == 10
    recipes = [reader.arm.build(0) for reader in EVERY if reader.arm is not None]
    assert len({repr(recipe) for recipe in recipes}) == 7
    assert len({recipe.optim for recipe in recipes if recipe.data.share == 1}) == 1
    cnn = next(recipe for recipe in recipes if recipe.method == "supervised-cnn")
    assert cnn.init == type(cnn.init)()


def test_a_lesion_is_measured_in_voxels_of_the_input(out: Path) -> None:
    cohorts = PhantomCohorts(out / "cohorts", PLAN)
    found = voxels_of_lesions(cohorts, "simcrop-plus-tiny", SMALL)
    sentences = [s for s in cohorts.truth("test").sentences if s.shows and s.finding == "Lung opacity"]
    assert found["Lung opacity"] == pytest.approx(
        median(s.volume_ml for s in sentences) / (5.5 * 5.5 * 10 / 1000)
    )


def test_the_page_says_what_no_reader_sees(out: Path) -> None:
    found, text = results(out), (out / "ceiling.md").read_text()
    for kind in PLAN.labels:
        read = [reader["labels"][kind] for reader in found["ceiling"].values()]
        row = next(line for line in text.splitlines() if line.startswith(f"| {kind} |"))
        assert ("by none" in row) == (found["positives"][kind] > 0 and max(read) < 0.65)
        assert "nan" not in row
    assert (out / "report.html").exists()


def test_with_fewer_labels_a_reader_takes_as_many_steps() -> None:
    whole, *fewer = [reader for reader in EVERY if "statistics stem" in reader.name and "max" in reader.name]
    assert [reader.share for reader in fewer] == [0.3, 0.1]
    assert whole.arm is not None
    of_all = whole.arm.build(0).optim
    for reader in fewer:
        assert reader.arm is not None
        optim = reader.arm.build(0).optim
        assert optim.epochs * reader.share == pytest.approx(of_all.epochs, rel=0.02)
        assert optim.warmup_epochs * reader.share == pytest.approx(of_all.warmup_epochs, rel=1e-4)
