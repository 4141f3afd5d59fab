"""Sinks by setting: refused before anything is written where the package is missing, and never the end of a run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from simcrop.config import flat, free_settings, load_recipe
from simcrop.engine.journal import read_journal
from simcrop.errors import SimcropError
from simcrop.logs import choice, tensorboard
from simcrop.logs.choice import LOGS, is_installed, sinks_of
from simcrop.tasks.folder import read_run

Run = Callable[..., Any]
NAMES = ("tensorboard", "wandb", "mlflow")


@pytest.fixture
def pretrain(simcrop: Run, toy_tree: dict[str, Any], toy_cohort: Path, tmp_path: Path) -> Run:
    """Four steps from the command line into `run`, or more of them."""
    recipe = tmp_path / "recipe.yaml"
    toy_tree["optim"] |= {"steps": 4}
    recipe.write_text(yaml.safe_dump(toy_tree))

    def run(*words: str) -> Any:
        return simcrop("pretrain", toy_cohort, "--recipe", recipe, "--out", tmp_path / "run", *words)

    return run


def steps_seen(folder: Path) -> list[int]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    events.Reload()
    return [event.step for event in events.Scalars("loss")]


def test_no_sink_is_on_by_itself_and_all_may_change_when_a_run_goes_on() -> None:
    recipe = load_recipe("simcrop-paper")
    assert recipe.log.sinks == ()
    assert {name for name in flat(recipe) if name.startswith("log.")} <= free_settings(recipe)
    chosen = load_recipe("simcrop-paper", ["log.tensorboard=true", "log.wandb=offline", "log.mlflow=true"])
    assert chosen.log.sinks == NAMES


@pytest.mark.parametrize("value", ["online", "true", "disabled"])
def test_wandb_is_offline_or_not_at_all(value: str) -> None:
    with pytest.raises(SimcropError, match=r"log\.wandb = .*offline"):
        load_recipe("simcrop-paper", [f"log.wandb={value}"])


def test_missing_packages_are_one_line_before_anything_is_written(
    pretrain: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, "is_installed", lambda name: name == "mlflow")
    ran = pretrain(*(f"--set=log.{s}" for s in ("tensorboard=true", "wandb=offline", "mlflow=true")))
    assert ran.refusal == (
        "log.tensorboard needs a package that is not installed: pip install 'simcrop[tensorboard,wandb]', or leave "
        "the setting out"
    )
    assert not (tmp_path / "run").exists()


def test_a_folder_of_that_name_is_no_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "some_tracker").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    assert not is_installed("some_tracker")
    (tmp_path / "some_tracker" / "__init__.py").touch()
    assert is_installed("some_tracker")


def test_a_run_is_written_switched_on_late_and_continued(
    pretrain: Run, tmp_path: Path, needs: Callable[[str], None]
) -> None:
    needs("tensorboard")
    assert pretrain("--set=optim.steps=4").code == 0
    assert not (tmp_path / "run" / LOGS).exists()
    ran = pretrain("--set=log.tensorboard=true", "--resume")
    assert ran.code == 0, ran
    assert steps_seen(tmp_path / "run" / LOGS / "tensorboard") == [1, 2, 3, 4]
    assert (read_run(tmp_path / "run") or {})["settings"]["log.tensorboard"] is True


def test_a_sink_that_fails_in_mid_run_is_one_line_and_the_run_goes_on(
    pretrain: Run, tmp_path: Path, needs: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    needs("tensorboard")
    put = tensorboard.TensorBoard.put

    def full(self: tensorboard.TensorBoard, event: Any) -> None:
        if event.step == 3:
            raise OSError(28, "No space left on device")
        put(self, event)

    monkeypatch.setattr(tensorboard.TensorBoard, "put", full)
    ran = pretrain("--set=log.tensorboard=true")
    assert ran.code == 0, ran
    assert [line for line in ran.err.splitlines() if "log." in line] == [
        "pretrain: log.tensorboard is given up: No space left on device; the run goes on, journal.jsonl has all"
    ]
    assert steps_seen(tmp_path / "run" / LOGS / "tensorboard") == [1, 2]
    assert [row["step"] for row in read_journal(tmp_path / "run" / "journal.jsonl")] == [1, 2, 3, 4]


@pytest.mark.parametrize("name", NAMES)
def test_each_sink_has_its_own_folder_in_the_run_and_holds_its_numbers(
    name: str, tmp_path: Path, needs: Callable[[str], None], rows: list[dict[str, Any]]
) -> None:
    needs(name)
    told: list[str] = []
    (open_sink,) = sinks_of([name], tmp_path / "run", {"optim.lr": 0.1, "text.model": "secret"}, told.append)
    sink = open_sink(rows[:2])
    for row in rows[2:]:
        sink.write(row)
    sink.close()
    assert told == []
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert [path.name for path in (tmp_path / "run" / LOGS).iterdir()] == [name]
    files = [path for path in (tmp_path / "run").rglob("*") if path.is_file()]
    assert not [path for path in files if b"train_9" in path.read_bytes() or b"secret" in path.read_bytes()]
    if name == "wandb":
        import wandb

        wandb.teardown()
