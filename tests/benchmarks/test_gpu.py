"""`benchmarks/gpu.py` without a CUDA device: every section runs, and the report does not pretend to have one."""

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gpu.py"
SMALL = (
    *("input.shape=[16, 16, 16]", "input.patch=[8, 8, 4]", "vision.depth=1", "vision.dim=48"),
    *("vision_decoder={depth: 1, dim: 48, heads: 3}", "fusion.heads=4", "align.top_k=4"),
    *("report_decoder={depth: 1, dim: 48, heads: 4, hidden: 96}", "text.report_length=32"),
)


def test_sections_are_written_one_by_one(tmp_path: Path) -> None:
    changes = [word for change in SMALL for word in ("--set", change)]
    sections = "ceilings,agreement,copies,encoding,one_rank,sweep,kernels"
    out = tmp_path / "gpu.json"
    words = [
        "--size",
        "tiny",
        "--recipes",
        "simcrop-tiny",
        "--batches",
        "1",
        "--repeats",
        "1",
        "--ways",
        "recomputed",
    ]
    command = [sys.executable, str(SCRIPT), *words, "--sections", sections, "--json", str(out), *changes]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=500)
    assert ran.returncode == 0, ran.stderr[-2000:]
    report = json.loads(out.read_text())
    assert report == json.loads(ran.stdout)
    assert set(sections.split(",")) <= set(report)
    assert [row["way"] for row in report["sweep"]] == list(report["kernels"]) == ["plain", "recomputed"]
    assert all(row["seconds"] > 0 for row in report["sweep"])
    if "no CUDA device" in report["machine"]["device"]:
        assert report["machine"]["device"] == "no CUDA device: not measured"
        assert report["agreement"]["fp32"] == {"loss": 0.0, "gradient": 0.0}
        assert report["one_rank"]["backend"] == "gloo"
    assert report["agreement"].get("bf16", {"gradient": 0.01})["gradient"] < 0.1
