"""A table from nothing to its page, at the smallest size: stopped in the middle, it goes on to the same result."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_table import ASKED, RATES, STEPS

from simcrop.errors import SimcropError
from simcrop.experiments.tables import candidates, jobs, reproduce
from simcrop.experiments.tables.jobs import Job
from simcrop.experiments.tables.places import Places
from simcrop.experiments.tables.reproduce import TableOptions, reproduce_table
from simcrop.experiments.tables.running import HERE, Failures
from simcrop.files.whole import read_json


class Stopping:
    """A progress in whose course the process is asked to stop, once."""

    def __init__(self, title: str) -> None:
        self.title = title

    def __call__(self, done: int, total: int, words: str) -> None:
        del words
        if self.title.startswith("pretrain mae") and done < total:
            os.kill(os.getpid(), signal.SIGTERM)


def results(out: Path) -> dict[str, bytes]:
    """What was learned, judged and chosen, by its place."""
    names = ("model.safetensors", "predictions.parquet", "segmentation.parquet", "chosen.json", "table1.csv")
    return {str(p.relative_to(out)): p.read_bytes() for p in sorted(out.rglob("*")) if p.name in names}


def test_a_table_that_was_stopped_goes_on_to_the_same_result(
    table: Callable[..., bool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    assert table("whole", said.append)
    opened = said.index("the test is opened")
    judged = [line for line in said[:opened] if line.startswith(("probe", "segment"))]
    assert len(judged) == 2 * len(RATES) * len(candidates.POOLS)
    assert all(line.endswith((", mean", ", max")) for line in judged)  # on the validation cohort
    assert {line.split(",")[0] for line in said[opened + 1 :]} == {
        f"{verb} {row}" for verb in ("probe", "segment") for row in ("mae", "simcrop")
    }
    chosen = read_json(tmp_path / "whole" / "chosen.json")
    assert set(chosen) == {"mae", "simcrop"}
    for of in chosen.values():
        found = [auroc for by in of["validation_auroc"].values() for auroc in by.values()]
        assert len(found) == len(RATES) * len(candidates.POOLS)
        assert of["validation_auroc"][f"{of['rate']:g}"][of["pool"]] == max(found)
    cells_are_what_the_jobs_found(tmp_path / "whole")

    with monkeypatch.context() as patch:
        patch.setattr(jobs, "PlainProgress", Stopping)
        with pytest.raises(KeyboardInterrupt):
            table("halves")
    assert not (tmp_path / "halves" / "chosen.json").exists()
    said.clear()
    assert table("halves", said.append, resume=True)
    assert "goes on: pretrain mae, seed 0" in said
    first, second = results(tmp_path / "whole"), results(tmp_path / "halves")
    learned = [name for name in first if name.endswith("0/model/model.safetensors") and "runs" in name[:4]]
    assert len(learned) == 2 * len(RATES)
    assert first.keys() == second.keys()
    assert not {name for name in first if first[name] != second[name]} - {"table1.csv"}

    said.clear()
    assert table("halves", said.append, resume=True)
    assert not any(line.startswith(("pretrain", "probe", "segment", "goes on")) for line in said)
    refused_with_other_settings(table, tmp_path / "halves")
    a_further_seed_changes_nothing_of_the_first(table, tmp_path / "whole")


def test_a_rate_that_a_full_disk_kept_from_being_tried_is_tried_before_anything_is_chosen(
    table: Callable[..., bool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(job: jobs.Pretrain) -> None:
        if job.folder.parent.name == "mae-at-2":
            raise SimcropError("no-space", "no space left on the device")
        run(job)

    run, out = jobs.Pretrain.run, tmp_path / "full"
    with monkeypatch.context() as patch:
        patch.setattr(jobs.Pretrain, "run", full)
        assert not table("full")
    assert set(read_json(out / "chosen.json")) == {"simcrop"}
    assert "no learning rate was chosen: no space left on the device" in (out / "table1.md").read_text()
    assert not (out / "probes" / "mae").exists(), "the test was opened for a row that is not chosen"
    assert table("full", resume=True)
    assert set(read_json(out / "chosen.json")) == {"mae", "simcrop"}
    assert set(read_json(out / "chosen.json")["mae"]["validation_auroc"]) == {"1", "2"}
    assert "no space left" not in (out / "table1.md").read_text()


def cells_are_what_the_jobs_found(out: Path) -> None:
    """As their own metrics say; and what each row was given is known."""
    found = read_json(out / "table1.json")
    for cell in found["cells"]:
        row, dataset, share = cell["row"], cell["dataset"], cell["share"]
        if cell["metric"] == "dice":
            value = read_json(out / f"segments/{row}/0/{dataset}-{round(100 * share)}/metrics.json")["dice"]
        else:
            shares = read_json(out / f"probes/{row}/0/{dataset}/metrics.json")["shares"]
            value = shares[f"{share:g}"]["accuracy" if cell["metric"] == "accuracy" else "macro_auroc"]
        assert cell["by_seed"] == [pytest.approx(100 * value)]
    assert {of["row"]: of["steps"] for of in found["budget"]} == {"mae": STEPS, "simcrop": STEPS}
    chosen = read_json(out / "chosen.json")
    for of in found["budget"]:
        assert of["learning_rate"] == pytest.approx(5e-4 * chosen[of["row"]]["rate"])
    assert all(of["trained_parameters"] > of["encoder_parameters"] > 0 for of in found["budget"])
    assert len(read_json(out / "machines.json")["machines"]) == 1


def a_further_seed_changes_nothing_of_the_first(table: Callable[..., bool], out: Path) -> None:
    """Asked for when the table is there; fewer are refused."""
    before, said = results(out), []
    assert table(out.name, said.append, resume=True, seeds=2)
    begun = {", seed 1" in line for line in said if line.startswith(("pretrain", "probe", "segment"))}
    assert begun == {True}
    assert {name for name, there in before.items() if results(out)[name] != there} == {"table1.csv"}
    assert {tuple(of["seeds"]) for of in read_json(out / "table1.json")["cells"]} == {(0, 1)}
    with pytest.raises(SimcropError, match="started with other settings \\(seeds\\)"):
        table(out.name, resume=True, seeds=1)


def refused_with_other_settings(table: Callable[..., bool], out: Path) -> None:
    """Of a folder that is there."""
    with pytest.raises(SimcropError, match="holds an earlier `simcrop reproduce`"):
        table(out.name)
    rate = read_json(out / "chosen.json")["mae"]["rate"]
    path = Places(out, {"mae": rate}).run("mae", 0) / "run.json"
    run = read_json(path)
    assert run["settings"]["optim.lr"] == pytest.approx(rate * 5e-4)
    run["settings"]["optim.lr"] = 7.0
    path.write_text(json.dumps(run))
    with pytest.raises(SimcropError, match=r"/0 was run with optim\.lr = 7\.0, the plan has 0"):
        table(out.name, resume=True)


def test_real_data_is_planned_as_an_array_and_run_row_by_row(
    table: Callable[..., bool], drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data.yaml"
    cohorts = {name: str(drawn / "cohorts" / name / "all") for name in ("ct-rate",)}
    data.write_text(json.dumps({"cohorts": cohorts, "methods": ["random", "simcrop"]}))
    said: list[str] = []
    asked: dict[str, Any] = {"data": data, "size": "tiny", "common": (*ASKED.common, "optim.steps=1")}
    assert table("real", said.append, slurm=True, **asked)
    assert any(line.startswith("no column luna16: no cohort of LUNA16") for line in said)
    script = (tmp_path / "real" / "table1.sbatch").read_text()
    assert '1) only="simcrop/0"' in script
    assert not (tmp_path / "real" / "runs").exists()
    with monkeypatch.context() as patch:
        patch.setattr(reproduce, "chains", lambda _: [])
        (tmp_path / "real" / "table1.sbatch").unlink()
        assert table("real", said.append, slurm=True, resume=True, **asked)
    assert said[-1].startswith("nothing is left to do for table1")
    assert not (tmp_path / "real" / "table1.sbatch").exists()
    assert table("by-hand", only="random/0", **asked)
    assert table("by-hand", dry_run=True, resume=True, **asked)
    with pytest.raises(SimcropError, match="--only moon: no such row and seed; rows are random, simcrop"):
        table("real", resume=True, only="moon", **asked)
    assert table("real", resume=True, only="random/0", **asked)
    assert (tmp_path / "real" / "runs/random/0/model").is_dir()
    assert not (tmp_path / "real" / "runs/simcrop").exists()
    assert not (tmp_path / "real" / "table1.md").exists()
    assert table("real", dry_run=True, resume=True, **asked)
    model = tmp_path / "real" / "runs/random/0/model/config.json"
    model.write_text(model.read_text() + "\n")
    with pytest.raises(SimcropError, match=r"probes/random/0/ct-rate has results of another model than "):
        table("real", dry_run=True, resume=True, **asked)


@pytest.mark.parametrize(("reason", "done"), [("non-finite-loss", True), ("no-space", False)])
def test_a_rate_that_diverged_is_no_failure_and_a_row_left_open_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: str, done: bool
) -> None:
    why, shown = SimcropError(reason, "it broke"), list[dict[Path, str]]()

    def pretend(jobs: list[Job], on: object, say: object, failed: Failures | None = None) -> Failures:
        del on, say
        found = dict(failed or {})
        for job in jobs:
            before = [found[place] for place in job.after if place in found]
            if job.folder.parent.name == "simcrop-at-4" or before:
                found[job.folder] = before[0] if before else why
            elif job.folder not in found:
                (job.folder / "model").mkdir(parents=True, exist_ok=True)
                (job.folder / "metrics.json").write_text('{"macro_auroc": 0.7}')
        return found

    def write(*asked: Any) -> None:
        shown.append(asked[-1])

    monkeypatch.setattr(reproduce, "run_jobs", pretend)
    monkeypatch.setattr(reproduce, "write_table", write)
    for name in ("draw", "record_machine"):
        monkeypatch.setattr(reproduce, name, lambda *_, **__: None)
    out = tmp_path / "out"
    for resume in (False, True):
        assert reproduce_table("fig4", out, TableOptions(seeds=1, resume=resume), print, HERE) == done
        assert ("simcrop" in read_json(out / "chosen.json")) == done
        assert bool(shown[-1].get(Places(out).run("simcrop", 0))) == (not done)
