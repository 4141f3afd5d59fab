"""What a call says before it begins: the plan, its hours, and what does not go together."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from simcrop.errors import SimcropError
from simcrop.experiments.tables import reproduce


def test_a_dry_run_prints_the_plan_and_writes_nothing(table: Callable[..., bool], tmp_path: Path) -> None:
    said: list[str] = []
    assert table("none", said.append, dry_run=True)
    # Two of them at the other rate, and eight probes to choose by: two rows, two rates, two ways of pooling.
    assert said[0] == "table1: 16 jobs"
    assert any("every method sees 64 scans in 2 steps" in line for line in said)
    assert not (tmp_path / "none").exists()


def test_a_budget_scales_the_steps(table: Callable[..., bool]) -> None:
    found: list[int] = []
    for minutes in (20.0, 40.0):
        said: list[str] = []
        table("none", said.append, dry_run=True, budget=minutes)
        found.append(int(said[-1].split(" scans in ")[1].split()[0]))
    assert found[1] > 2 * found[0] > 20
    with pytest.raises(SimcropError, match=r"--budget 0.1: table1 takes \d+ minutes at least"):
        table("none", dry_run=True, budget=0.1)


def test_a_plan_that_replaces_counts_nothing_that_is_there(
    table: Callable[..., bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    plans: list[list[str]] = [[], [], []]
    table("new", plans[0].append, dry_run=True)

    def run(work: Any, *_: Any) -> bool:
        for job in reproduce.to_do(work.table, work.setup, work.chosen):
            (job.folder / "model").mkdir(parents=True, exist_ok=True)
            (job.folder / "metrics.json").write_text("{}")
        return True

    with monkeypatch.context() as patch:
        patch.setattr(reproduce.Tables, "run", run)
        assert table("new", plans[1].append)
    table("new", plans[1].append, dry_run=True, resume=True)
    assert any("nothing" in line for line in plans[1])
    table("new", plans[2].append, dry_run=True, overwrite=True)
    assert plans[2] == plans[0]
    table("new", plans[2].append, dry_run=True, overwrite=True, budget=60.0)


APART = {
    "--budget inf: expected minutes above 0": {"budget": float("inf")},
    "--budget -3: expected minutes above 0": {"budget": -3.0},
    "--budget is for phantoms": {"data": Path("x"), "budget": 3.0},
    "--slurm wants --data": {"slurm": True},
    "--only wants --data": {"only": "mae"},
    "--size paper wants --data": {"size": "paper"},
}


@pytest.mark.parametrize("message", list(APART))
def test_options_that_do_not_go_together_are_one_line(message: str, table: Callable[..., bool]) -> None:
    with pytest.raises(SimcropError, match=message):
        table("none", **APART[message])
