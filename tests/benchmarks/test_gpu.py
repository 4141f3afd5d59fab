"""`benchmarks/gpu.py` without a CUDA device: every section runs, and the report does not pretend to have one."""

from collections.abc import Callable
from typing import Any

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
        assert report["agreement"]["fp32"] == {"loss": 0.0, "gradient": 0.0}
        assert report["one_rank"]["backend"] == "gloo"
    assert report["agreement"].get("bf16", {"gradient": 0.01})["gradient"] < 0.1
