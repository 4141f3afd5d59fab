"""What may be written where: a folder that is not ours is never touched, ours is continued or replaced when asked."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from simcrop.errors import SimcropError
from simcrop.files.whole import TEMPORARY
from simcrop.tasks.folder import (
    LOCK,
    METRICS,
    RUN,
    STAGE,
    empty,
    open_folder,
    read_run,
    reserved,
    staged,
    unspoiled,
)
from simcrop.tasks.record import redacted

ASK = ("--sentence", "A nodule.")


def snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    files = [p for p in sorted(folder.rglob("*")) if p.is_file()]
    return {str(p.relative_to(folder)): (p.stat().st_mtime_ns, p.read_bytes()) for p in files}


def words_of(line) -> dict[str, tuple[object, ...]]:
    """Every verb that writes a folder, without its folder."""
    return {
        "phantom": ("phantom", "--patients", 1),
        "ingest": ("ingest", line.raw, "--layout", "ct-rate", "--spacing", "5.5,5.5,10", "--out"),
        "pretrain": ("pretrain", line.cohort, "--recipe", "simcrop-tiny", "--out"),
        "embed": ("embed", line.run, line.scan, "--out"),
        "ground": ("ground", line.run, line.scan, *ASK, "--out"),
        "weights": ("weights", "import", "mae-imagenet", line.run / "model/model.safetensors", "--out"),
        "export": ("export", line.run, "--licence", "apache-2.0", "--out"),
        "bundle": ("bundle", line.run, "--out"),
        "demo": ("demo", "--out"),
    }


VERBS = ["phantom", "ingest", "pretrain", "embed", "ground", "weights", "export", "bundle", "demo"]


@pytest.mark.parametrize("more", [(), ("--overwrite",)])
@pytest.mark.parametrize("verb", VERBS)
def test_somebody_elses_folder_is_never_touched(
    simcrop: Callable, line, verb: str, more: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "mine/deep").mkdir(parents=True)
    (tmp_path / "mine/deep/thesis.txt").write_text("years of work")
    (tmp_path / "mine/run.json").write_text('{"colour": "red"}')
    before = snapshot(tmp_path / "mine")
    refusal = simcrop(*words_of(line)[verb], tmp_path / "mine", *more).refusal
    assert f"{tmp_path}/mine is not empty and was not made by simcrop" in refusal
    assert snapshot(tmp_path / "mine") == before


@pytest.mark.parametrize("verb", VERBS)
def test_folder_of_another_verb_is_never_touched(simcrop: Callable, line, verb: str, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps({"verb": "check", "settings": {}}))
    refusal = simcrop(*words_of(line)[verb], tmp_path, "--overwrite").refusal
    assert "was made by `simcrop check`" in refusal
    assert [p.name for p in tmp_path.iterdir()] == ["run.json"]


@pytest.mark.parametrize("verb", VERBS)
def test_place_that_cannot_be_written_is_one_line(simcrop: Callable, line, verb: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    refusal = simcrop(*words_of(line)[verb], tmp_path / "file").refusal
    assert f"{tmp_path}/file is a file; --out wants a folder" in refusal
    refusal = simcrop(*words_of(line)[verb], tmp_path / "file/deep/out").refusal
    assert f"{tmp_path}/file is a file" in refusal
    assert (tmp_path / "file").read_text() == "x"


def test_forbidden_place_is_one_line(
    simcrop: Callable, line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Tests may run as root, whom no mode stops.
    monkeypatch.setattr("os.access", lambda _, mode: mode != os.W_OK | os.X_OK)
    refusal = simcrop("ground", line.run, line.scan, *ASK, "--out", tmp_path / "locked/out").refusal
    assert f"no permission to write in {tmp_path}" in refusal


@pytest.mark.parametrize("verb", ["embed", "ground", "pretrain"])
def test_earlier_result_stays_unless_it_is_to_be_replaced(
    simcrop: Callable, line, verb: str, tmp_path: Path
) -> None:
    words = (*words_of(line)[verb], tmp_path / "out")
    if verb == "pretrain":
        words += tuple(word for setting in line.SETTINGS for word in ("--set", setting))
    assert simcrop(*words).code == 0
    before = snapshot(tmp_path / "out")
    refusal = simcrop(*words).refusal
    assert "--overwrite replaces it" in refusal
    assert ("--resume" in refusal) == (verb != "ground")
    assert snapshot(tmp_path / "out") == before
    if verb == "embed":
        assert (
            "other settings (cohort, scans, source)"
            in simcrop("embed", line.run, line.cohort, "--out", tmp_path / "out", "--resume").refusal
        )
    assert simcrop(*words, "--overwrite").code == 0
    after = snapshot(tmp_path / "out")
    assert after.keys() == before.keys()
    assert all(after[name][0] > before[name][0] for name in before)


def test_every_verb_leaves_its_record(line) -> None:
    for folder, verb in ((line.raw, "phantom"), (line.cohort, "ingest"), (line.run, "pretrain")):
        run = json.loads((folder / "run.json").read_text())
        assert run["verb"] == verb
        assert {"command", "settings", "packages", "simcrop", "started"} <= run.keys()
        metrics = json.loads((folder / "metrics.json").read_text())
        assert all(isinstance(value, int | float) for value in metrics.values())


def fail_in(out: Path, settings: dict[str, int], stored: str | None = None, overwrite: bool = False) -> None:
    """A command that is interrupted, before or after it has stored something."""
    with unspoiled(out):
        open_folder(out, "embed", settings, overwrite=overwrite)
        if stored:
            (out / stored).write_text("1")
        raise KeyboardInterrupt


def test_failure_before_anything_is_stored_restores_the_folder(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        fail_in(out, {"a": 1})
    assert not out.exists()

    open_folder(out, "embed", {"a": 1})
    before = (out / "run.json").read_bytes()
    with pytest.raises(KeyboardInterrupt):
        fail_in(out, {"a": 2}, overwrite=True)
    assert (out / "run.json").read_bytes() == before
    assert [p.name for p in out.iterdir()] == ["run.json"]


def test_failure_after_something_is_stored_keeps_it(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        fail_in(tmp_path / "out", {"a": 1}, stored="rows")
    assert open_folder(tmp_path / "out", "embed", {"a": 1}, resume=True)
    assert (tmp_path / "out/rows").read_text() == "1"


def test_killed_stage_is_swept_by_the_next_call(tmp_path: Path) -> None:
    (tmp_path / "out/.simcrop-unfinished").mkdir(parents=True)
    (tmp_path / "out/.simcrop-unfinished/half.png").write_text("ha")
    with staged(tmp_path / "out", "ground", {}) as stage:
        (stage / "whole.png").write_text("whole")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["run.json", "whole.png"]


def test_linked_folder_is_emptied_and_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "disk")
    open_folder(tmp_path / "out", "embed", {"a": 1})
    (tmp_path / "disk/old").write_text("old")
    assert not open_folder(tmp_path / "out", "embed", {"a": 2}, overwrite=True)
    assert (tmp_path / "out").is_symlink()
    assert [p.name for p in (tmp_path / "disk").iterdir()] == ["run.json"]


def test_sentences_are_not_recorded() -> None:
    argv = ["simcrop", "ground", "m", "ct", "--sentence", "secret", "--sentence=secret", "--report", "secret"]
    assert "secret" not in " ".join(redacted(argv))
    assert redacted(argv)[:5] == argv[:5]
    assert redacted(sys.argv) == sys.argv


def test_settings_that_are_free_may_change_and_run_json_says_so(tmp_path: Path) -> None:
    open_folder(tmp_path / "run", "pretrain", {"seed": 1, "data.workers": 8, "old": 0})
    for workers, seed in ((2, 1), (2, 1), (4, 1)):
        settings = {"seed": seed, "data.workers": workers, "new": 0}
        assert open_folder(tmp_path / "run", "pretrain", settings, True, free={"data.workers", "old", "new"})
    run = read_run(tmp_path / "run")
    assert run is not None
    assert run["settings"] == {"seed": 1, "data.workers": 4, "new": 0}
    before = [past["settings_before"] for past in run["continued"]]
    assert before == [{"data.workers": 8, "old": 0, "new": None}, {"data.workers": 2}]
    assert all({"started", "command"} <= past.keys() for past in run["continued"])
    with pytest.raises(SimcropError, match=r"other settings \(seed\)"):
        open_folder(tmp_path / "run", "pretrain", {**run["settings"], "seed": 2}, True, free={"data.workers"})


@pytest.mark.parametrize("how", [{}, {"resume": True}, {"overwrite": True}])
def test_folder_of_a_process_that_was_killed_over_its_first_words_is_as_good_as_empty(
    tmp_path: Path, how: dict[str, bool]
) -> None:
    left = tmp_path / "run" / f".{RUN}.host-7{TEMPORARY}"
    left.parent.mkdir()
    left.write_text('{"verb": "pre')
    assert not open_folder(tmp_path / "run", "pretrain", {}, **how)
    assert [p.name for p in (tmp_path / "run").iterdir()] == [RUN]


def test_folder_at_work_takes_nobody_else_and_looks_empty(tmp_path: Path) -> None:
    with reserved(tmp_path / "run"):
        assert [p.name for p in (tmp_path / "run").iterdir()] == [LOCK]
        with pytest.raises(SimcropError, match=f"{tmp_path}/run is in use by process {os.getpid()}"):
            staged(tmp_path / "run", "probe", {}).__enter__()
        assert not open_folder(tmp_path / "run", "pretrain", {}, overwrite=True)
        assert (tmp_path / "run" / LOCK).exists()
    assert [p.name for p in (tmp_path / "run").iterdir()] == ["run.json"]
    with reserved(tmp_path / "none"):
        pass
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("older", [False, True])
@pytest.mark.parametrize("moved", [0, 1, 13])
def test_results_that_a_kill_left_halfway_are_not_done_and_may_be_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moved: int, older: bool
) -> None:
    """As a kill would: nothing is put back."""
    out, left = tmp_path / "out", moved
    results = (*(f"{n}.png" for n in range(12)), METRICS)

    def make() -> None:
        with staged(out, "probe", {}, overwrite=older or (out / RUN).exists()) as stage:
            for name in results:
                (stage / name).write_text("new")

    def rename(path: Path, to: Path) -> None:
        nonlocal left
        if path.parent.name == STAGE:
            if not left:
                raise KeyboardInterrupt
            left -= 1
        path.replace(to)

    if older:
        make()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", rename)
        with pytest.raises(KeyboardInterrupt):
            make()
    assert not (out / METRICS).exists()
    assert not moved or (out / RUN).exists()
    make()
    assert all((out / name).read_text() == "new" for name in results)


def test_an_older_result_is_not_done_once_a_part_of_it_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (RUN, METRICS, "a", "b"):
        (tmp_path / name).touch()
    gone: list[str] = []
    monkeypatch.setattr(Path, "unlink", lambda path: gone.append(path.name))
    empty(tmp_path)
    assert (gone[0], gone[-1]) == (METRICS, RUN)
