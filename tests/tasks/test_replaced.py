"""A run that is overwritten is there until the new one has a step, whoever ends it and when."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from simcrop.config import build_recipe
from simcrop.engine.progress import silent
from simcrop.errors import SimcropError
from simcrop.tasks.folder import REPLACED, open_folder
from simcrop.tasks.replaced import Replaced
from simcrop.tasks.training.pretrain import pretrain

OLD = {
    "run.json": '{"verb": "pretrain", "settings": {"a": 1}}',
    "metrics.json": "{}",
    "journal.jsonl": "old",
    "model/config.json": "old",
}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    for name, content in OLD.items():
        (tmp_path / "run" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "run" / name).write_text(content)
    return tmp_path / "run"


def content(run: Path) -> dict[str, str]:
    return {p.relative_to(run).as_posix(): p.read_text() for p in run.rglob("*") if p.is_file()}


def begin(run: Path) -> Replaced:
    """A new run, up to its first step."""
    replaced = Replaced(run)
    replaced.recover()
    open_folder(run, "pretrain", {"a": 2}, overwrite=True, clear=replaced.set_aside)
    (run / "journal.jsonl").write_text("")
    return replaced


def interrupted(run: Path, steps: int = 0) -> None:
    replaced = Replaced(run)
    with replaced.or_put_back():
        open_folder(run, "pretrain", {"a": 2}, overwrite=True, clear=replaced.set_aside)
        (run / "journal.jsonl").write_text("new" * steps)
        tell = replaced.until_a_step(silent)
        for step in range(steps):
            tell(step + 1, 9, "")
        raise KeyboardInterrupt


def test_what_fails_before_a_step_leaves_the_old_run(run: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        interrupted(run)
    assert content(run) == OLD
    assert not (run / REPLACED).exists()


def test_with_the_first_step_the_old_run_is_gone(run: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        interrupted(run, steps=1)
    assert set(content(run)) == {"run.json", "journal.jsonl"}
    assert not (run / REPLACED).exists()


def test_a_folder_that_was_empty_has_nothing_aside(tmp_path: Path) -> None:
    replaced = Replaced(tmp_path / "new")
    open_folder(tmp_path / "new", "pretrain", {}, clear=replaced.set_aside)
    assert set(content(tmp_path / "new")) == {"run.json"}


def test_what_cannot_be_moved_ends_it_and_nothing_is_lost(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rename = Path.rename

    def refused(path: Path, target: Path) -> Path:
        if target == run / REPLACED / "model":
            raise OSError(16, "Device or resource busy")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refused)
    with pytest.raises(SimcropError, match="Device or resource busy"):
        interrupted(run)
    assert content(run) == OLD


def test_a_training_that_fails_in_its_first_step_leaves_the_run_that_it_would_replace(
    toy_cohort: Path, toy_tree: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = build_recipe({**toy_tree, "optim": {**toy_tree["optim"], "steps": 1}}, "toy")
    run = tmp_path / "run"
    pretrain(toy_cohort, recipe, run)
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}

    def fail(*_: object) -> None:
        (run / "journal.jsonl").write_text("")
        raise SimcropError("out-of-memory", "too little memory")

    with monkeypatch.context() as patched:
        patched.setattr("simcrop.tasks.training.train.fit", fail)
        with pytest.raises(SimcropError, match="too little memory"):
            pretrain(toy_cohort, recipe.model_copy(update={"seed": 5}), run, overwrite=True)
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    assert pretrain(toy_cohort, recipe.model_copy(update={"seed": 5}), run, overwrite=True).finished
    assert {path.name for path in run.iterdir()} == {path.relative_to(run).parts[0] for path in before}
    assert json.loads((run / "run.json").read_text())["settings"]["seed"] == 5


class Killed(BaseException):
    """Nothing more is done."""


def killed_after(renames: int, monkeypatch: pytest.MonkeyPatch, work: Callable[[], object]) -> None:
    """A process that is killed after so many files were moved."""
    left, rename = [renames], Path.rename

    def counted(path: Path, target: Path) -> Path:
        if left[0] == 0:
            raise Killed
        left[0] -= 1
        return rename(path, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", counted)
        with pytest.raises(Killed):
            work()


@pytest.mark.parametrize("renames", range(len(OLD)))
def test_a_kill_while_it_is_moved_loses_nothing(
    run: Path, renames: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed_after(renames, monkeypatch, lambda: begin(run))
    Replaced(run).recover()
    assert content(run) == OLD


@pytest.mark.parametrize("renames", range(len(OLD)))
def test_a_kill_while_it_comes_back_loses_nothing(
    run: Path, renames: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    replaced = begin(run)
    killed_after(renames, monkeypatch, replaced.put_back)
    Replaced(run).recover()
    assert content(run) == OLD


def test_a_kill_between_the_old_run_and_the_first_word_of_the_new_loses_nothing(
    run: Path,
) -> None:
    replaced = Replaced(run)
    replaced.set_aside(run)
    assert set(run.iterdir()) == {run / REPLACED}
    Replaced(run).recover()
    assert content(run) == OLD


def test_a_new_run_that_was_killed_before_a_step_goes_on_or_is_replaced_and_the_old_one_stays_aside(
    run: Path,
) -> None:
    begin(run)
    replaced = begin(run)
    assert {name for name in content(run) if name.startswith(REPLACED)} == {f"{REPLACED}/{n}" for n in OLD}
    replaced.put_back()
    assert content(run) == OLD


def test_what_lies_aside_of_a_run_with_steps_is_let_go_before_that_one_is_replaced(
    run: Path,
) -> None:
    begin(run)
    (run / "journal.jsonl").write_text("second")
    third = begin(run)
    third.put_back()
    assert content(run).keys() == {"run.json", "journal.jsonl"}
    assert content(run)["journal.jsonl"] == "second"
