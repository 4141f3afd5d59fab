"""`benchmarks/gpu.py` without a CUDA device: every section runs, and the report does not pretend to have one."""

from collections.abc import Callable
from typing import Any

import pytest

SMALL = (
    *("input.shape=[16, 16, 16]", "input.patch=[8, 8, 4]", "vision.depth=1", "vision.dim=48"),
    *("vision_decoder={depth: 1, dim: 48, heads: 3}", "fusion.heads=4", "align.top_k=4"),
    *("report_decoder={depth: 1, dim: 48, heads: 4, hidden: 96}", "text.report_length=32"),
)


def test_sections_are_written_one_by_one(report_of: Callable[..., dict[str, Any]]) -> None:
    changes = [word for change in SMALL for word in ("--set", change)]
    sections = "ceilings,agreement,copies,encoding,one_rank,sweep,kernels"
    words = ("--size", "tiny", "--recipes", "simcrop-tiny", "--batches", "1", "--repeats", "1")
    report = report_of("gpu", *words, "--ways", "recomputed", "--sections", sections, *changes)
    assert set(sections.split(",")) <= set(report)
    assert [row["way"] for row in report["sweep"]] == list(report["kernels"]) == ["plain", "recomputed"]
    assert all(row["seconds"] > 0 for row in report["sweep"])
    if "no CUDA device" in report["machine"]["device"]:
        assert report["machine"]["device"] == "no CUDA device: not measured"
        assert report["sweep"][0]["peak_gib"] is None
        assert report["one_rank"]["backend"] == "gloo"
    exact = report["agreement"]["fp32"]
    assert 0 < exact["gradient"] < 1e-5, "float64 is no better than fp32, or something else"
    assert exact["loss"] < 1e-6
    assert report["agreement"].get("bf16", {"gradient": 0.01})["gradient"] < 0.1
    assert set(report["ceilings"]) == {"bf16_tflop_per_s", "copy_gb_per_s"}
    for row in report["sweep"]:
        assert row["hours_of_the_papers_run"] == pytest.approx(
            47_149 * 140 / row["volumes_per_s"] / 3600, rel=1e-2
        )
        share = row["gflop_per_volume"] * row["volumes_per_s"] / 1e3 / report["ceilings"]["bf16_tflop_per_s"]
        assert row["share_of_ceiling"] == pytest.approx(share, rel=1e-2)
