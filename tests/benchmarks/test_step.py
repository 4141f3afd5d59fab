"""`benchmarks/step.py`: the naive step computes what ours computes, and the script says so in JSON.

Axes: as in the network; the toy grid has different sizes along x, y and z.
"""

from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from simcrop.config import load_recipe

Script = Callable[[str], ModuleType]

TOY = [
    "input.shape=[24, 16, 20]",
    "input.patch=[4, 4, 5]",
    "vision={depth: 2, dim: 48, heads: 4}",
    "vision_decoder={depth: 2, dim: 36, heads: 3}",
    "report_decoder={depth: 1, dim: 60, heads: 5, hidden: 72}",
    "fusion={heads: 6}",
    "align.top_k=7",
]


def test_naive_and_ours_give_the_same_loss_and_gradients(script: Script) -> None:
    setup = script("step_parts.sample").make_setup(load_recipe("simcrop-tiny", TOY), 384, torch.device("cpu"))
    ours, naive = setup.objective, script("step_parts.naive").NaiveSimCroP(setup.objective)
    a, b = ours(setup.cached), naive(setup.padded)

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


def test_products_of_a_linear_layer_and_of_attention_are_counted(script: Script) -> None:
    products_of = script("step_parts.products").products_of
    x = torch.randn(1, 5, 8, requires_grad=True)
    linear = torch.nn.Linear(8, 7)
    found = products_of(lambda: linear(x).sum().backward())
    assert sum(p.flops * n for p, n in found.items()) == 3 * 2 * 5 * 8 * 7
    q, k = torch.randn(1, 2, 5, 8, requires_grad=True), torch.randn(1, 2, 9, 8, requires_grad=True)
    attend = torch.nn.functional.scaled_dot_product_attention
    found = products_of(lambda: attend(q, k, k).sum().backward())
    assert sum(p.flops * n for p, n in found.items()) == (2 + 4) * 2 * 2 * 5 * 9 * 8


def test_each_part_computes_the_same_numbers_both_ways(script: Script) -> None:
    """Or its seconds could not be compared."""
    parts, sample = script("step_parts.parts"), script("step_parts.sample")
    setup = sample.make_setup(load_recipe("simcrop-tiny", TOY), 384, torch.device("cpu"))
    for pair in (parts.patch_embedding(setup), parts.mlm_head(setup)):
        torch.testing.assert_close(pair["ours"](), pair["naive"](), rtol=1e-5, atol=1e-6)
    both = parts.adamw(setup)
    trained = {name: p for name, p in setup.objective.named_parameters() if p.requires_grad}
    start = {name: p.detach().clone() for name, p in trained.items()}
    updated = {}
    for way, step in both.items():
        for name, parameter in trained.items():
            parameter.data.copy_(start[name])
            parameter.grad = torch.full_like(parameter, 0.1)
        step()
        updated[way] = {name: p.detach().clone() for name, p in trained.items()}
    assert any((updated["ours"][name] != start[name]).any() for name in trained)
    torch.testing.assert_close(updated["ours"], updated["naive"], rtol=1e-5, atol=1e-7)


def test_only_the_naive_attention_keeps_what_every_pair_of_tokens_weighs(script: Script) -> None:
    parts, sample = script("step_parts.parts"), script("step_parts.sample")
    setup = sample.make_setup(load_recipe("simcrop-tiny", TOY), 384, torch.device("cpu"))
    found = parts.attention_memory(setup, "fp32")
    pairs_mib = 3 * (6 * 4 * 4 + 1) ** 2 * 4 / 2**20  # heads, patches and a class token, bytes
    assert found["ours_mib"] + pairs_mib <= found["naive_mib"] + 0.01


def test_calls_take_turns_and_ratios_are_those_of_neighbours(
    script: Script, planted, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = script("step_parts.clock")
    monkeypatch.setattr(clock.time, "perf_counter", planted.now)
    calls = {"naive": planted.work("naive", 50, 6, 6, 8), "ours": planted.work("ours", 50, 2, 3, 2)}
    found = clock.Clock(torch.device("cpu")).interleaved(calls, repeats=3)
    assert planted.done == ["naive", "ours"] * 4
    assert found == {"naive": [6, 6, 8], "ours": [2, 3, 2]}
    assert clock.ratio(found["naive"], found["ours"]) == {"ratio": 3, "min": 2, "max": 4}


def test_a_step_in_a_process_of_its_own_is_told_how_and_counted_in_its_row(
    script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    step, started = script("step"), []
    costs = {("naive", "default"): 6.0, ("ours", "kept"): 2.0, ("ours", "default"): 3.0}

    class Child:
        def __init__(self, words: list[str]) -> None:
            self.way = (words[words.index("--alone") + 1], words[words.index("--malloc") + 1])
            started.append(words)

        def seconds(self) -> float:
            return costs[self.way]

        def end(self) -> float:
            return costs[self.way] / 2

    monkeypatch.setattr(step, "Child", Child)
    chosen = Namespace(size="paper", precision="bf16", text_width=768, threads=2, clock="cpu", repeats=3)
    found = step.own_processes(chosen)
    common = "--size paper --precision bf16 --text-width 768 --threads 2 --clock cpu"
    assert all(" ".join(words).startswith(common) for words in started)
    assert found["seconds"] == {"naive": 6, "ours": 3, "ours_kept_malloc": 2}
    assert found["naive_over_ours"] == {"ratio": 2, "min": 2, "max": 2}
    assert found["default_over_kept_malloc"]["ratio"] == 1.5
    assert found["peak_gib"] == {"naive": 3, "ours": 1.5, "ours_kept_malloc": 1}


def test_a_process_of_its_own_steps_when_it_is_asked_and_ends_with_its_memory(
    script: Script, planted, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run, clock = script("step_parts.run"), script("step_parts.clock")
    monkeypatch.setattr(clock.time, "perf_counter", planted.now)
    monkeypatch.setattr(run, "make_setup", lambda *_: None)
    monkeypatch.setattr(run, "naive", lambda *_: planted.work("naive", 50, 2, 3))
    monkeypatch.setattr("sys.stdin", iter(["step\n", "step\n"]))
    run.serve("naive", False, "tiny", 384, "fp32", clock.Clock(torch.device("cpu")))
    assert planted.done == ["naive"] * 3
    ready, *seconds, memory = capsys.readouterr().out.split()
    assert (ready, seconds) == ("ready", ["2.0", "3.0"])
    assert int(memory) == pytest.approx(peak_kib() * 1024, rel=0.01)


def peak_kib() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def test_script_prints_ratio_and_share_as_json(
    script: Script, report_of: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script("step"), "keep_freed_memory", lambda: None)  # it would stay kept
    words = ("--size", "tiny", "--repeats", "1", "--precision", "fp32", "--threads", "1")
    report = report_of("step", *words, "--same-process-only")

    assert (report["machine"]["threads"], report["setting"]["patches"]) == (1, 512)
    whole = report["same_process"]
    assert whole["first_loss"]["ours"] == pytest.approx(whole["first_loss"]["naive"], rel=1e-5)
    # Of one repeat, so that every figure follows from others.
    expected = whole["seconds"]["naive"] / whole["seconds"]["ours"]
    assert whole["naive_over_ours"]["ratio"] == pytest.approx(expected, rel=0.01)
    share = whole["product_limit_seconds"] / whole["seconds"]["ours"]
    assert whole["share_of_product_limit"]["ratio"] == pytest.approx(share, rel=0.01, abs=1e-3)
    speed = whole["product_gflop"] / whole["product_limit_seconds"]
    assert whole["product_limit_gflop_per_s"] == pytest.approx(speed, rel=0.02)
    assert set(report["parts"]) == {"patch_embedding", "sentences", "mlm_head", "adamw", "attention_memory"}
    heads, tokens, kept = 6, 513, report["parts"]["attention_memory"]
    assert kept["naive_mib"] > heads * tokens**2 * 4 / 2**20
    assert kept["ratio"] == pytest.approx(kept["naive_mib"] / kept["ours_mib"], rel=0.02)
    assert kept["ratio"] > 2
    assert "own_processes" not in report
    way = report["travel"]
    assert (
        way["bytes_to_device"] * 2 == way["bytes_as_the_network_reads_it"] == way["studies"] * 64**2 * 32 * 4
    )
    assert way["padding_in_groups"] < way["padding"] / 2
    again = report["recompute"]
    expected = again["seconds"]["recomputed"] / again["seconds"]["kept"]
    assert again["recomputed_over_kept"]["ratio"] == pytest.approx(expected, rel=0.01)
    if not torch.cuda.is_available():
        assert report["copies"] == again["peak_gib"] == "not measured: no CUDA device"


def test_steps_that_compute_again_take_turns_with_those_that_keep(
    script: Script, planted, monkeypatch: pytest.MonkeyPatch
) -> None:
    choices, clock, sample = (
        script("step_parts.choices"),
        script("step_parts.clock"),
        script("step_parts.sample"),
    )
    setup = sample.make_setup(load_recipe("simcrop-tiny", TOY), 384, torch.device("cpu"))
    layers = [setup.objective.vision.transformer, setup.objective.vision_decoder.transformer]
    works = {False: planted.work("kept", 50, 4, 4), True: planted.work("again", 50, 5, 6)}

    def ours(*_: object) -> Callable[[], None]:
        return lambda: works[layers[0].recompute and layers[1].recompute]()

    monkeypatch.setattr(clock.time, "perf_counter", planted.now)
    monkeypatch.setattr(choices, "ours", ours)
    found = choices.recompute(setup, "fp32", 2, clock.Clock(torch.device("cpu")))
    assert planted.done == ["kept", "again"] * 3
    assert found["recomputed_over_kept"] == {"ratio": 1.375, "min": 1.25, "max": 1.5}
    assert not any(layer.recompute for layer in layers)


def test_a_real_process_of_its_own_steps_and_ends(script: Script) -> None:
    words = "--size tiny --precision fp32 --text-width 384 --threads 1 --clock cpu --alone ours --malloc kept"
    child = script("step_parts.run").Child(words.split())
    assert min(child.seconds(), child.seconds()) > 0  # one answer for each time that it is asked
    assert 0.1 < child.end() < 8  # GiB: torch alone needs more than the least
    assert child.process.returncode == 0
