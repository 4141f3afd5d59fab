"""`simcrop reproduce segmentation`, at a size at which nothing is learned: both arms, paired, and resumed."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from simcrop.engine.journal import read_journal
from simcrop.experiments import segmentation
from simcrop.experiments.segmentation import SegmentationPlan, reproduce_segmentation
from simcrop.tasks.folder import read_run

TOY = SegmentationPlan(reports=4, masks=10, share=0.3, pretrain_steps=1, steps=1)
COMMON = ("decoder.feature_size=2", "windows.per_scan=1", "optim.batch=2")


def here(task: Callable[..., Any]) -> Callable[..., Any]:
    """In this process: eight of their own would be started, and take longer for it than for 14 patients."""

    def done(*given: Any, workers: int, **named: Any) -> Any:
        assert workers == 2
        return task(*given, workers=1, **named)

    return done


def test_arms_differ_in_their_start_alone_and_the_figure_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segmentation, "phantom", here(segmentation.phantom))
    monkeypatch.setattr(segmentation, "ingest", here(segmentation.ingest))
    out, said = tmp_path / "out", list[str]()
    results = reproduce_segmentation(out, (0,), COMMON, said.append, plan=TOY)
    pretrained, random = (read_run(out / f"runs/{arm}-0") or {} for arm in ("pre-trained", "random"))
    differing = {
        name for name, value in pretrained["settings"].items() if random["settings"].get(name) != value
    }
    assert differing == {"init.model"}
    assert pretrained["start"]["loaded"]
    assert [len(read_journal(out / f"runs/{arm}-0/journal.jsonl")) for arm in ("pre-trained", "random")] == [
        1,
        1,
    ]

    mean = results["measures"]["dice"]["mean"]
    apart = mean["pre-trained"]["value"] - mean["random"]["value"]
    assert mean["difference"]["value"] == pytest.approx(apart)
    assert results["measures"]["dice"]["difference_by_seed"] == [pytest.approx(apart)]
    text = (out / "segmentation.md").read_text()
    assert "| mean over classes |" in text
    assert f"changes the mean Dice by {apart:+.3f}" in text
    assert "chance" in (out / "report.html").read_text()

    (out / "results.json").unlink()
    told = len(said)
    assert reproduce_segmentation(out, (0,), COMMON, said.append, resume=True, plan=TOY) == results
    assert len(said) == told  # nothing is done twice
    assert json.loads((out / "results.json").read_text()) == results
