"""`benchmarks/step.py`: the naive step computes what ours computes, and the script says so in JSON.

Axes: as in the network; the toy grid has different sizes along x, y and z.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from simcrop.config import load_recipe

SCRIPTS = Path(__file__).parents[2] / "benchmarks"
TOY = [
    "input.shape=[24, 16, 20]",
    "input.patch=[4, 4, 5]",
    "vision={depth: 2, dim: 48, heads: 4}",
    "vision_decoder={depth: 2, dim: 36, heads: 3}",
    "report_decoder={depth: 1, dim: 60, heads: 5, hidden: 72}",
    "fusion={heads: 6}",
    "align.top_k=7",
]


def test_naive_and_ours_give_the_same_loss_and_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(SCRIPTS)
    from step_parts.naive import NaiveSimCroP
    from step_parts.sample import make_setup

    setup = make_setup(load_recipe("simcrop-tiny", TOY), 384, torch.device("cpu"))
    ours, naive = setup.objective, NaiveSimCroP(setup.objective)
    a = ours(setup.cached, torch.Generator().manual_seed(5))
    b = naive(setup.padded, torch.Generator().manual_seed(5))

    assert list(a) == ["volume", "report", "align"]
    torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)
    sum(a.values()).backward()  # type: ignore[union-attr]
    sum(b.values()).backward()  # type: ignore[union-attr]
    for name, parameter in ours.named_parameters():
        twin = naive.net.get_parameter(name)
        if name.startswith("vision.patch_embed"):
            twin = naive.embed.get_parameter(name.replace("vision.patch_embed", "conv"))
        if parameter.requires_grad:
            assert parameter.grad is not None
            assert twin.grad is not None
            torch.testing.assert_close(
                twin.grad.view_as(parameter.grad), parameter.grad, rtol=1e-3, atol=1e-5
            )


def test_products_of_a_linear_layer_and_of_attention_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(SCRIPTS)
    from step_parts.products import products_of

    x = torch.randn(1, 5, 8, requires_grad=True)
    linear = torch.nn.Linear(8, 7)
    found = products_of(lambda: linear(x).sum().backward())
    assert sum(p.flops * n for p, n in found.items()) == 3 * 2 * 5 * 8 * 7
    q, k = torch.randn(1, 2, 5, 8, requires_grad=True), torch.randn(1, 2, 9, 8, requires_grad=True)
    attend = torch.nn.functional.scaled_dot_product_attention
    found = products_of(lambda: attend(q, k, k).sum().backward())
    assert sum(p.flops * n for p, n in found.items()) == (2 + 4) * 2 * 2 * 5 * 9 * 8


def test_script_prints_ratio_and_share_as_json(tmp_path: Path) -> None:
    written = tmp_path / "step.json"
    command = [sys.executable, str(SCRIPTS / "step.py"), "--size", "tiny", "--repeats", "1"]
    done = subprocess.run(
        [*command, "--precision", "fp32", "--threads", "1", "--json", str(written)],
        capture_output=True, text=True, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    report = json.loads(done.stdout)

    assert report == json.loads(written.read_text())
    whole, alone = report["same_process"], report["own_processes"]
    assert whole["first_loss"]["ours"] == pytest.approx(whole["first_loss"]["naive"], rel=1e-5)
    assert whole["naive_over_ours"]["ratio"] > 0
    assert 0 < whole["share_of_product_limit"]["ratio"] < 1.5
    assert alone["naive_over_ours"]["ratio"] > 0
    assert min(alone["peak_gib"].values()) > 0.1
    assert report["parts"]["attention_memory"]["ratio"] > 2
