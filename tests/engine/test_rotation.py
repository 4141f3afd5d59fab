"""Which checkpoints are due, and which go: by hand."""

from pathlib import Path

import pytest

from simcrop.engine.checkpoint import CheckpointSettings, checkpoints
from simcrop.engine.rotation import Due, rotate, superfluous


@pytest.mark.parametrize(
    ("steps", "keep", "keep_every", "gone"),
    [
        ([], 2, None, []),
        ([5], 1, None, []),
        ([5, 10, 100], 3, None, []),
        ([5, 10, 100, 115], 3, None, [5]),
        ([115, 5, 100, 10], 1, None, [5, 10, 100]),
        ([5, 10, 100, 115], 1, 10, [5]),
        ([5, 10, 100, 115], 2, 100, [5, 10]),
        ([4, 8, 12, 16, 20], 2, 8, [4, 12]),
    ],
)
def test_the_newest_stay_and_so_do_multiples(
    steps: list[int], keep: int, keep_every: int | None, gone: list[int]
) -> None:
    assert superfluous(steps, keep, keep_every) == gone


def test_due_after_so_many_steps_or_minutes_whichever_comes_first() -> None:
    now = [100.0]
    due = Due(CheckpointSettings(every=10, minutes=2, keep_every=25), lambda: now[0])
    assert [step for step in range(1, 51) if due.by_step(step)] == [10, 20, 25, 30, 40, 50]
    for second, expected in ((219.9, False), (220.0, True), (300.0, True)):
        now[0] = second
        assert due.by_clock() is expected
    due.begun()
    assert not due.by_clock()
    now[0] = 420.0
    assert due.by_clock()
    assert not Due(CheckpointSettings(minutes=None), lambda: now[0]).by_clock()


def whole(folder: Path, step: int) -> None:
    path = folder / f"step-{step:08d}"
    path.mkdir()
    (path / "state.json").write_text("{}")


def test_what_goes_loses_its_name_first_and_leftovers_go_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in (5, 10, 15, 20):
        whole(tmp_path, step)
    (tmp_path / "step-00000012.partial").mkdir()
    (tmp_path / "step-00000003.dropped").mkdir()
    (tmp_path / "notes").mkdir()
    with monkeypatch.context() as killed:

        def die(path: Path, **_: object) -> None:
            raise KeyboardInterrupt(path)

        killed.setattr("shutil.rmtree", die)
        with pytest.raises(KeyboardInterrupt):
            rotate(tmp_path, CheckpointSettings(keep=1, keep_every=10))
    assert [path.name for path in checkpoints(tmp_path)] == ["step-00000010", "step-00000020"]
    rotate(tmp_path, CheckpointSettings(keep=1, keep_every=10))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notes", "step-00000010", "step-00000020"]


def test_what_cannot_go_now_goes_with_a_later_one_and_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in (5, 10):
        whole(tmp_path, step)
    with monkeypatch.context() as read_elsewhere:

        def busy(path: Path) -> None:
            raise OSError(39, "Directory not empty", path)

        read_elsewhere.setattr("os.rmdir", lambda path, **_: busy(path))
        rotate(tmp_path, CheckpointSettings(keep=1))
        assert (tmp_path / "step-00000005.dropped").is_dir()
        whole(tmp_path, 5)  # of a run that went on from before it
        (tmp_path / "step-00000005.dropped/.nfs1").touch()
        rotate(tmp_path, CheckpointSettings(keep=1))
    rotate(tmp_path, CheckpointSettings(keep=1))
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000010"]
