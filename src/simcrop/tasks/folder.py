"""The output folder of every verb: what may be overwritten, what continues, and what a failure leaves: nothing half.

No axes or units. `run.json` says who began a folder; a folder without it is somebody else's and never touched.
"""

import os
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from simcrop.errors import SimcropError
from simcrop.files.lock import locked
from simcrop.files.utf8 import refuse_other_than_utf8
from simcrop.files.whole import TEMPORARY, read_json, write_json, write_whole, writing
from simcrop.tasks.record import describe_run, plain

RUN, METRICS, STAGE, LOCK = "run.json", "metrics.json", ".simcrop-unfinished", ".simcrop-lock"
REPLACED = ".simcrop-replaced"  # an older run, until the one that overwrites it has taken a step
MODEL = "model"  # in `run.json` of a training: the digest of the model that it ended with


def open_folder(
    path: Path,
    verb: str,
    settings: Mapping[str, Any],
    resume: bool = False,
    overwrite: bool = False,
    free: Collection[str] = (),
    clear: Callable[[Path], None] | None = None,
) -> bool:
    """Make `path` ready for `verb`; true when it holds an earlier run to be continued.

    A folder that is not empty is left alone unless the same verb started it and `resume` or `overwrite` is said. To
    continue, settings must be the same but for those in `free`. `clear`: takes away what is overwritten; it is deleted
    where none is given.
    """
    if check_folder(path, verb, settings, resume, overwrite, free=free):
        record_changes(path, settings)
        return True
    with writing(path):
        (clear or empty)(path)
    start_folder(path, verb, settings)
    return False


def check_folder(
    path: Path,
    verb: str,
    settings: Mapping[str, Any],
    resume: bool = False,
    overwrite: bool = False,
    resumable: bool = True,
    free: Collection[str] = (),
) -> bool:
    """The rules of `open_folder`, nothing touched. A verb that is not `resumable` does not offer it."""
    check_writable(path)
    if not names_in(path) - {STAGE, REPLACED, *first_words(path)}:
        return False
    earlier = read_run(path)
    if earlier is None or earlier["verb"] != verb:
        whose = "was not made by simcrop" if earlier is None else f"was made by `simcrop {earlier['verb']}`"
        raise SimcropError("bad-out", f"{path} is not empty and {whose}; choose another --out")
    if overwrite:
        return False
    if not resume:
        ways = "--resume continues it, --overwrite replaces it" if resumable else "--overwrite replaces it"
        raise SimcropError("bad-out", f"{path} holds an earlier `simcrop {verb}`: {ways}")
    if changed := sorted(set(changes(earlier["settings"], settings)) - set(free)):
        raise SimcropError(
            "bad-out",
            f"{path} was started with other settings ({', '.join(changed[:5])}): continuing needs the same, "
            "--overwrite replaces it",
        )
    return True


def changes(before: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Names of settings that differ, and what they were before."""
    now = plain(settings)
    return {
        name: before.get(name) for name in before.keys() | now.keys() if before.get(name) != now.get(name)
    }


def record_changes(path: Path, settings: Mapping[str, Any]) -> None:
    """`run.json` says with what a run goes on, and since when; under `continued`, what it was before."""
    run = read_run(path)
    if run is not None and (before := changes(run["settings"], settings)):
        again = describe_run(run["verb"], settings)
        past = {"started": again["started"], "command": again["command"], "settings_before": before}
        run["continued"] = [*run.get("continued", []), past]
        write_json(path / RUN, {**run, "settings": again["settings"]})


def check_writable(path: Path) -> None:
    """Said before hours of work and not after: `path` is a folder that can be written, or can be made."""
    refuse_other_than_utf8(path)
    above = next(p for p in (path, *path.absolute().parents) if p.exists())
    if not above.is_dir():
        what = "is a file" if above == path else f"cannot be made, {above} is a file"
        raise SimcropError("bad-out", f"{path} {what}; --out wants a folder")
    if os.statvfs(above).f_flag & os.ST_RDONLY:
        raise SimcropError(
            "bad-out", f"{path} cannot be written: Read-only file system; choose another --out"
        )
    if not os.access(above, os.W_OK | os.X_OK):
        raise SimcropError("bad-out", f"{path}: no permission to write in {above}; choose another --out")


def start_folder(path: Path, verb: str, settings: Mapping[str, Any]) -> None:
    """The folder with its `run.json`; from here on it is this verb's."""
    with writing(path):
        path.mkdir(parents=True, exist_ok=True)
    write_json(path / RUN, describe_run(verb, settings))


def in_turn(name: str) -> int:
    """`run.json` comes first and goes last, `metrics.json` the other way round: what has it is whole after a kill."""
    return {RUN: 0, METRICS: 2}.get(name, 1)


def empty(path: Path, keep: Path | None = None) -> None:
    """Remove what is in a folder, but not the folder itself, which may be a mount or a link."""
    for inside in (path / name for name in sorted(names_in(path), key=in_turn, reverse=True)):
        if inside.is_dir() and not inside.is_symlink():
            if inside != keep:
                shutil.rmtree(inside)
        else:
            inside.unlink()


@contextmanager
def reserved(path: Path) -> Iterator[None]:
    """One folder, one run: raises SimcropError while another process works on `path`, which is made if need be, and
    gone again if nothing was put there.
    """
    check_writable(path)
    was_there = path.is_dir()
    with writing(path):
        path.mkdir(parents=True, exist_ok=True)
    try:
        with locked(path / LOCK, str(path)):
            yield
    finally:
        if not was_there and path.is_dir() and not names_in(path):
            path.rmdir()


@contextmanager
def unspoiled(path: Path) -> Iterator[None]:
    """A command that fails before it has stored anything leaves `path` as it was: absent, empty, or an older run."""
    was_there, before = path.is_dir(), names_in(path)
    run = (path / RUN).read_bytes() if RUN in before else None
    try:
        yield
    except BaseException:
        if path.is_dir() and names_in(path) ^ before <= {RUN}:
            put_back(path, run)
        if not was_there and path.is_dir() and not names_in(path):
            path.rmdir()
        raise


def put_back(path: Path, run: bytes | None) -> None:
    """`run.json` as it was."""
    if run is None:
        (path / RUN).unlink(missing_ok=True)
    elif (path / RUN).read_bytes() != run:
        write_whole(path / RUN, run)


@contextmanager
def staged(path: Path, verb: str, settings: Mapping[str, Any], overwrite: bool = False) -> Iterator[Path]:
    """A folder to write results to; they reach `path` together once all are whole, or nothing changes there."""
    check_folder(path, verb, settings, overwrite=overwrite, resumable=False)
    stage = path / STAGE
    with reserved(path):
        try:
            shutil.rmtree(stage, ignore_errors=True)
            start_folder(stage, verb, settings)
            with writing(path):
                yield stage
                empty(path, keep=stage)
                for name in sorted(names_in(stage), key=in_turn):
                    (stage / name).rename(path / name)
        finally:
            shutil.rmtree(stage, ignore_errors=True)


def names_in(path: Path) -> set[str]:
    """What is in a folder, but for the lock of whoever is at work there."""
    return {inside.name for inside in path.iterdir()} - {LOCK} if path.is_dir() else set()


def first_words(path: Path) -> set[str]:
    """A `run.json` that was never whole, of a process that was killed before there was anything else."""
    return {left.name for left in path.glob(f".{RUN}.*{TEMPORARY}")}


def read_run(path: Path) -> dict[str, Any] | None:
    """`run.json` of a folder, or None when there is none worth the name."""
    try:
        run = read_json(path / RUN)
    except (OSError, ValueError):
        return None
    return run if isinstance(run, dict) and "verb" in run and isinstance(run.get("settings"), dict) else None


def unpinned_before(out: Path, pins: dict[str, str]) -> set[str]:
    """Those that the run in `out` was begun without, by an older simcrop: it goes on with what is there, and from then
    on is held to it.
    """
    run = read_run(out)
    return set() if run is None else pins.keys() - run["settings"].keys()


def write_metrics(path: Path, metrics: Mapping[str, Any]) -> None:
    """The verb's result as plain numbers."""
    write_json(path / METRICS, plain(metrics))
