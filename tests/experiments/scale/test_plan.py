"""`simcrop plan`: the arithmetic by hand, the constants beside the files they are from, and what it says."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from simcrop.config import load_recipe
from simcrop.errors import SimcropError
from simcrop.experiments.scale.plan import Plan, plan_of
from simcrop.experiments.scale.request import request_of
from simcrop.experiments.scale.words import words_of
from simcrop.experiments.speeds import speeds
from simcrop.tasks.training.counted import counted

RESULTS = Path(__file__).parents[3] / "benchmarks" / "results"
SCANS, GFLOP = 47_149, 1165.183371264


def planned(gpus: str, *changes: str, scans: int = SCANS, epochs: int | None = None) -> Plan:
    return plan_of(request_of(scans, gpus, "simcrop-paper", epochs, changes))


@pytest.fixture(scope="module")
def one() -> Plan:
    return planned("1xh200")


def measured(name: str) -> Any:
    return json.loads((RESULTS / f"{name}.json").read_text())


def test_constants_are_those_of_the_files_they_are_said_to_be_from() -> None:
    known = speeds()
    of_days = ("2026-11-26", "2026-11-26-before", "2026-11-27", "2026-11-28")
    runs = [measured(f"gpu-h100-{day}") for day in of_days]
    assert known.devices["h100"].product == runs[0]["ceilings"]["bf16_tflop_per_s"]
    assert known.training.distributed == runs[0]["one_rank"]["wrapped_over_bare"]["ratio"]
    for way, points in {"plain": known.training.plain, **known.training.ways}.items():
        rows = [
            row
            for run in runs
            for row in run["sweep"]
            if row["recipe"] == "simcrop-paper" and row["way"] == way
        ]
        assert list(points) == [(row["batch"], row["share_of_ceiling"]) for row in rows], way
    plain = [row for row in runs[0]["sweep"] if row["recipe"] == "simcrop-paper" and row["way"] == "plain"]
    assert list(known.training.peak_gib) == [(row["batch"], row["peak_gib"]) for row in plain]
    ingest, load = measured("ingest-workers-cpu-2026-11-25"), measured("load-h100-host-2026-11-28")
    assert known.ingest.core_seconds_per_scan == ingest["seconds_per_further_scan"]
    assert known.ingest.raw_mb_per_scan == measured("ingest-cpu-2026-11-25")["compressed_mb"]
    for name, codec in known.codecs.by_name.items():
        assert codec.mb == load["mb"][f"ours, {name}"]
        assert codec.milliseconds == pytest.approx(
            15e3 / load["workers"][name]["volumes_per_s"]["15"], rel=1e-3
        )


def test_shares_come_near_to_what_was_measured_and_fall_with_the_batch() -> None:
    training = speeds().training
    for batch, share in training.plain:
        assert training.share(batch) == pytest.approx(share, rel=0.13)
    for way, points in training.ways.items():
        for batch, share in points:
            assert training.share(batch, way) == pytest.approx(share, rel=0.07), (
                way,
                batch,
            )  # days differ so
    assert training.share(6, "compiled") < training.share(6) < training.share(6, "compiled-graphed")
    assert training.share(6) < 0.6 * training.share(16) + 0.1
    assert training.share(6) < training.share(16) < training.share(48) == training.share(480)


def test_one_gpu_by_hand(one: Plan) -> None:
    of, share = one.pretraining, speeds().training.share(48)
    flop = 140 * SCANS * GFLOP * 1e9
    assert of.pflop == pytest.approx(flop / 1e15)
    assert of.hours_at_limit == pytest.approx(flop / 790e12 / 3600)
    assert of.hours == of.gpu_hours == pytest.approx(flop / (790e12 * share) / 3600)
    assert of.steps == 137_518
    assert of.volumes_per_s == pytest.approx(48 / of.step_seconds, rel=1e-4)
    assert one.ingest.core_hours == pytest.approx(SCANS * 0.4755 / 3600)
    assert one.store_gb == {"lz4": pytest.approx(SCANS * 6.45e-3), "raw": pytest.approx(SCANS * 12.68e-3)}
    assert one.device_gb_per_s == pytest.approx(of.volumes_per_s * 224 * 224 * 112 * 2 / 1e9)
    lz4 = next(of for of in one.feeding if of.codec == "lz4")
    assert lz4.cores == pytest.approx(of.volumes_per_s * 0.06679)
    assert lz4.gb_per_s == pytest.approx(of.volumes_per_s * 6.45e-3)
    assert one.checkpoint_gb == pytest.approx(145_440_314 * 12 / 1e9)


def test_hours_of_the_h100_are_those_that_were_measured() -> None:
    """7.8 hours, with reports that were a little shorter: 1,114 GFLOP a scan."""
    hours = planned("1xh100").pretraining.hours
    assert hours * 1114 / GFLOP == pytest.approx(7.8, rel=0.05)


def test_memory_is_near_what_was_measured_and_tells_what_fits(one: Plan) -> None:
    assert one.memory.used_gb == pytest.approx(30.44 * 2**30 / 1e9, rel=0.05)
    plus = plan_of(request_of(SCANS, "1xh100", "simcrop-plus"))
    assert plus.memory.used_gb == pytest.approx(47.2 * 2**30 / 1e9, rel=0.05)
    small = planned("1xa100-40", "optim.batch=96")
    assert small.memory.largest < 96
    assert small.memory.micro_batch == 48
    assert small.memory.fixed_gb + small.memory.scan_gb * small.memory.largest <= small.memory.free_gb
    assert "--set engine.micro_batch=48" in " ".join(words_of(small))


def test_eight_gpus_share_a_batch_and_say_that_it_is_small(one: Plan) -> None:
    eight = planned("8xh200")
    assert eight.pretraining.batch_per_gpu == 6
    assert eight.pretraining.hours > one.pretraining.hours / 8 * 1.085
    words = " ".join(words_of(eight))
    assert "What costs most is the batch: 6 scans" in words
    assert "a line drawn on" not in words
    assert "for fewer than 6 scans at once a line drawn on" in " ".join(words_of(planned("16xh200")))
    assert "no loss is assumed" in words


def test_a_batch_is_small_beside_the_best_of_its_own_way() -> None:
    training = speeds().training
    for way, *changes in (("plain",), ("compiled", "engine.compile=true")):
        best = training.share(training.largest, way)
        for batch in (16, 20):
            made = planned("1xh200", f"engine.micro_batch={batch}", f"optim.batch={batch}", *changes)
            assert made.pretraining.way == way
            said = "What costs most is the batch" in " ".join(words_of(made))
            assert said == (training.share(batch, way) < 0.75 * best), (way, batch)
    assert f"{training.largest} reach {best:.0%}" in " ".join(words_of(made))


def test_the_part_that_is_fullest_comes_first_and_one_that_is_broken_is_said_to_be() -> None:
    many = planned("64xh100", "optim.batch=3072", scans=1_000_000, epochs=20)
    loads = [part.load for part in many.breaks]
    assert loads == sorted(loads, reverse=True)
    assert many.breaks[0].name == "disk"
    assert loads[0] > 1
    words = " ".join(words_of(many))
    assert f"Disk is broken: {many.breaks[0].needed:.1f} of 7 GB/s (each machine)" in words
    disk = many.pretraining.volumes_per_s / 64 * 8 * 6.45e-3
    assert many.breaks[0].needed == pytest.approx(disk)


def test_gradients_travel_twice_but_for_ones_own_part() -> None:
    two = planned("2xh100")
    network = next(part for part in two.breaks if part.name == "network")
    assert network.needed == pytest.approx(145_440_314 * 4 / 1e9 / two.pretraining.step_seconds)
    assert network.there == 450


def test_tables_share_what_they_train_and_grow_with_scans_and_epochs(one: Plan) -> None:
    by_name = {of.name: of for of in one.tables}
    assert list(by_name) == ["table1", "table2", "table3", "fig2", "fig3", "all"]
    assert by_name["all"].gpu_hours < sum(of.gpu_hours for of in one.tables[:-1])
    assert by_name["table1"].trainings == 3 * 12  # `labels-first` has two
    assert by_name["table1"].gpu_hours > 3 * 10 * one.pretraining.gpu_hours
    halved = planned("1xh200", epochs=70)
    shorter = {of.name: of.gpu_hours for of in halved.tables}
    assert 0.5 < shorter["table1"] / by_name["table1"].gpu_hours < 0.52, "probes stay as they are"
    many = {of.name: of for of in planned("1024xh200", "optim.batch=1024").tables}
    assert many["table1"].gpu_hours == by_name["table1"].gpu_hours
    assert many["table1"].hours > by_name["table1"].gpu_hours / 1024, "a row's jobs wait for one another"


def test_devices_that_were_not_measured_do_not_get_their_whole_data_sheet() -> None:
    a100 = planned("1xa100")
    assert a100.limit_tflops == pytest.approx(312 * 782.1 / 989)
    assert not a100.limit_is_measured
    assert "less what a large product misses of it on an H100" in " ".join(words_of(a100))


@pytest.mark.parametrize(
    ("scans", "gpus", "recipe", "epochs", "words"),
    [
        (0, "1xh200", "simcrop-paper", None, "--scans 0: there must be one at least"),
        (9, "0xh200", "simcrop-paper", None, "--gpus 0xh200: there must be one at least"),
        (9, "-2xh200", "simcrop-paper", None, "--gpus -2xh200: there must be one at least"),
        (9, "h200", "simcrop-paper", None, "expected a number, x and a kind, such as 8xh200"),
        (9, "1xh201", "simcrop-paper", None, "did you mean h200"),
        (9, "1xv100", "simcrop-paper", None, "no device 'v100' is known"),
        (
            9,
            "5xh200",
            "simcrop-paper",
            None,
            "optim.batch = 48 cannot be shared by 5 GPUs; --set optim.batch=50",
        ),
        (9, "1xh200", "simcrop-paper", 0, "--epochs 0: there must be one at least"),
        (9, "1xh200", "simcrop-papr", None, "no recipe 'simcrop-papr', did you mean simcrop-paper"),
        (9, "1xh200", "segment-tiny", None, "is trained by `simcrop segment`"),
    ],
)
def test_what_cannot_be_planned_is_one_line(
    scans: int, gpus: str, recipe: str, epochs: int | None, words: str
) -> None:
    with pytest.raises(SimcropError) as told:
        request_of(scans, gpus, recipe, epochs)
    assert words in told.value.sentence
    assert "\n" not in told.value.sentence


@pytest.mark.parametrize(
    ("scans", "gpus", "recipe", "change", "words"),
    [
        (SCANS, 1, "simcrop-paper", "engine.micro_batch=100", "by 1 processes in micro-batches of 100"),
        (SCANS, 48, "simcrop-paper", "engine.micro_batch=5", "by 48 processes in micro-batches of 5"),
        (SCANS, 1, "supervised-cnn-paper", "engine.cuda_graphs=true", "there is none in this network"),
        (1, 1, "ct-clip-paper", "seed=1", "--scans 1: one study to learn from, and ct-clip compares"),
        (9, 1, "ct-clip-paper", "seed=1", "--scans 9: 9 studies to learn from, and optim.batch = "),
    ],
)
def test_what_would_not_train_is_not_planned(
    scans: int, gpus: int, recipe: str, change: str, words: str
) -> None:
    with pytest.raises(SimcropError) as told:
        request_of(scans, f"{gpus}xh200", recipe, None, [change])
    assert words in told.value.sentence


@pytest.mark.parametrize("change", ["engine.precision=fp32", "engine.sharding=full"])
def test_what_was_not_measured_is_not_planned(change: str) -> None:
    with pytest.raises(SimcropError, match="what that takes on a GPU was not measured"):
        planned("1xh200", change)


@pytest.mark.usefixtures("counted_for_real")
def test_a_finer_target_is_stored_read_and_sent() -> None:
    plain, finer = (
        plan_of(request_of(SCANS, "1xh200", "mrm-paper", None, changes))
        for changes in ((), ("mrm.sr_scale=2",))
    )
    assert finer.store_gb["lz4"] == pytest.approx(8 * plain.store_gb["lz4"])
    sent = [of.device_gb_per_s / of.pretraining.volumes_per_s for of in (plain, finer)]
    assert sent[1] == pytest.approx(9 * sent[0])
    assert finer.pretraining.gflop_per_scan > plain.pretraining.gflop_per_scan


def test_micro_batches_are_looked_at_twice_where_samples_are_compared() -> None:
    def hours(recipe: str, micro: int) -> float:
        of = plan_of(
            request_of(SCANS, "1xh200", recipe, None, [f"engine.micro_batch={micro}", "optim.batch=48"])
        )
        assert (of.pretraining.again > 0) == any("a first look" in line for line in words_of(of))
        return of.pretraining.hours

    slower = speeds().training.share(48) / speeds().training.share(16)
    assert hours("simcrop-paper", 16) == pytest.approx(slower * hours("simcrop-paper", 48))
    cost = counted(load_recipe("ct-clip-paper"))
    # All of its forward pass but the loss.
    assert cost.again_share == pytest.approx(cost.forward_share, rel=0.02)
    again = slower * (1 + cost.again_share) * hours("ct-clip-paper", 48)
    assert hours("ct-clip-paper", 16) == pytest.approx(again)


def test_words_fit_a_terminal_and_json_is_the_same_plan(simcrop: Callable, one: Plan) -> None:
    assert max(map(len, words_of(one))) <= 120
    said = simcrop("plan", "--scans", SCANS, "--gpus", "1xh200")
    assert (said.code, said.out) == (0, "\n".join(words_of(one)) + "\n")
    tree = json.loads(simcrop("plan", "--scans", SCANS, "--gpus", "1xh200", "--json").out)
    assert tree == json.loads(json.dumps(asdict(one)))
    refused = simcrop("plan", "--scans", SCANS, "--gpus", "1xh2000")
    assert (refused.code, refused.out, refused.err.count("\n")) == (2, "", 1)
