"""Every method at toy size, from its recipe to a judged probe, as a user runs it."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from simcrop.data.ingest import ingest
from simcrop.phantom import Request, write_cohort

READERS = (
    "simcrop",
    "m3ae",
)  # with the text encoder that recipes name; it is most of what the others would take
METHODS = ("mae", "m3ae", "ct-clip", "mrm", "m3d", "fvlm", "simcrop", "simcrop-plus", "dino", "supervised")
SPACING = (14.0, 12.0, 24.0)
COARSE = (
    *("input.spacing_mm=[14,12,24]", "input.shape=[24,28,16]", "input.patch=[6,4,4]", "vision.depth=2"),
    *("optim.batch=4", "optim.steps=2", "optim.epochs=9"),
)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Patients of both splits, with maps of their organs."""
    home = tmp_path_factory.mktemp("methods")
    write_cohort(home / "raw", Request("ct-rate", 40, 4, "tiny", organs=True))
    ingest(home / "raw", "ct-rate", home / "cohort", SPACING)
    return home / "cohort"


@pytest.mark.parametrize("method", METHODS)
def test_a_method_goes_from_its_recipe_to_a_judged_probe(
    method: str,
    cohort: Path,
    tmp_path: Path,
    tiny_bert: Path,
    simcrop: Callable,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "simcrop.evaluation.heads.probe.FOLDS", 1
    )  # how a penalty is chosen is tested with the probe
    small = (f"text.model={tiny_bert}", "text.report_length=96", "text.sentence_length=40")
    changes = COARSE if method in READERS else (*COARSE, *small)
    settings = [word for setting in changes for word in ("--set", setting)]
    run, out = tmp_path / "run", tmp_path / "probe"
    ran = simcrop("pretrain", cohort, "--recipe", f"{method}-tiny", "--out", run, *settings)
    assert ran.code == 0, ran
    rows = [json.loads(line) for line in (run / "journal.jsonl").read_text().splitlines()]
    assert len(rows) == 2
    assert np.isfinite([row["loss"] for row in rows]).all()
    ran = simcrop("probe", run, cohort, "--out", out, "--no-baselines")
    assert ran.code == 0, ran
    found = json.loads((out / "metrics.json").read_text())
    assert found["split_hash"]["train"] != found["split_hash"]["test"]
    (share,) = found["shares"].values()
    macro = share["macro_auroc"]
    assert 0 <= share["macro_auroc_low"] <= macro <= share["macro_auroc_high"] <= 1
