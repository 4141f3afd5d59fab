"""`benchmarks/segment.py`: both ways train on the same windows and see the same logits in the same scan."""

import argparse
from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest
import torch

TINY = {"size": "tiny", "classes": 2, "windows": 2, "precision": "fp32", "repeats": 1, "passes": 1}


@pytest.fixture
def chosen(script: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch) -> argparse.Namespace:
    """Half a scan of tissue in air on one side of it, larger than a window."""
    sizes = script("segment_parts.sizes")
    unit, air = torch.full((40, 32, 16), -1.0), np.full((40, 32, 16), True)
    unit[:6], air[:6] = 0.1, False
    affine = np.diag([6.0, 6.0, 6.0, 1.0])
    scan = sizes.Scan(unit, air, affine, (80, 64, 32), np.diag([3.0, 3.0, 3.0, 1.0]))
    monkeypatch.setattr(script("segment"), "the_scan", lambda _: scan)
    return argparse.Namespace(**TINY)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_steps_of_either_kind_have_about_the_same_loss(
    script: Callable[[str], ModuleType], chosen: argparse.Namespace
) -> None:
    steps = script("segment").training_steps(chosen)
    assert set(steps) == {"monai", "ours", "ours_interpolated", "recipe"}
    assert steps["ours"]() == pytest.approx(steps["monai"](), rel=0.2)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_logits_are_the_same_and_windows_are_counted(
    script: Callable[[str], ModuleType], chosen: argparse.Namespace
) -> None:
    segment = script("segment")
    made = segment.prediction(chosen, segment.Clock(torch.device("cpu")))
    # Along x windows begin at 0 and at 8, the last of them in the air.
    assert made["windows_in_all_and_with_tissue"] == {"scan": [2, 1], "box": [1, 1]}
    assert made["largest_difference_of_logits"] < 1e-4
    assert made["stitching_share"]["ratio"] < 1


def test_labels_come_on_the_scans_own_grid(
    script: Callable[[str], ModuleType], chosen: argparse.Namespace
) -> None:
    segment = script("segment")

    def second(windows: torch.Tensor) -> torch.Tensor:
        return torch.cat([windows * 0, windows * 0 + 1], dim=1)

    clock = segment.Clock(torch.device("cpu"))
    labels, facts = segment.labelled(segment.the_scan(chosen), (32, 32, 16), second, 2, clock)
    assert labels.shape == (80, 64, 32)
    # Rows 0 to 31 of the stored grid are reached by a window with tissue; the scan has two for each.
    assert np.flatnonzero(labels[:, 3, 3]).tolist() == list(range(63))
    assert facts["seconds_of_the_way_back"] >= 0
