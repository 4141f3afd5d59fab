"""A disk that fills up in the middle of each verb: one line, nothing half-written, nothing lost."""

import errno
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pytest

from simcrop.files.vectors import read_vectors
from simcrop.files.whole import write_whole

ASK = ("--sentence", "A nodule.")


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """The system refuses any file of this process that grows beyond `size` bytes, as a full disk would. Python keeps no
    module meanwhile, here or in a process begun here: it would keep half of it and fail over it later.
    """
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "dont_write_bytecode", True)
        patch.setenv("PYTHONDONTWRITEBYTECODE", "1")
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def last_line(ran) -> str:
    """Of a command that had begun: progress lines may stand before it."""
    assert ran.code == 2, ran
    assert "Traceback" not in ran.err
    line = ran.err.splitlines()[-1]
    assert line.startswith("error: "), ran
    return line


def test_ground_leaves_nothing_then_works(simcrop: Callable, line, tmp_path: Path) -> None:
    words = ("ground", line.run, line.scan, *ASK, "--out", tmp_path / "out")
    with files_up_to(4000):
        ran = simcrop(*words)
    assert str(tmp_path / "out") in ran.refusal
    assert "disk is full" in ran.refusal
    assert not (tmp_path / "out").exists()
    assert simcrop(*words).code == 0


def test_ground_that_fails_to_replace_keeps_the_old_result(simcrop: Callable, line, tmp_path: Path) -> None:
    words = ("ground", line.run, line.scan, "--out", tmp_path / "out")
    assert simcrop(*words, *ASK).code == 0
    before = content(tmp_path / "out")
    with files_up_to(4000):
        assert "disk is full" in simcrop(*words, *ASK, *ASK, "--overwrite").refusal
    assert content(tmp_path / "out") == before
    assert simcrop(*words, *ASK, *ASK, "--overwrite").code == 0
    assert (tmp_path / "out/sentence_02.nii.gz").exists()


def test_embed_of_one_scan_leaves_nothing_then_works(simcrop: Callable, line, tmp_path: Path) -> None:
    words = ("embed", line.run, line.scan, "--out", tmp_path / "out")
    with files_up_to(300):
        assert str(tmp_path / "out") in simcrop(*words).refusal
    assert not (tmp_path / "out").exists()
    assert simcrop(*words).code == 0


def test_embed_keeps_what_it_had_and_resumes_to_the_same_table(
    simcrop: Callable, line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simcrop.tasks.features.scan_vectors.AT_ONCE", 4)
    whole, out = tmp_path / "whole", tmp_path / "out"
    assert simcrop("embed", line.run, line.cohort, "--out", whole).code == 0
    with files_up_to(2500):
        ran = simcrop("embed", line.run, line.cohort, "--out", out)
    assert "disk is full" in last_line(ran)
    ids = pl.read_parquet(whole / "embeddings.parquet")["id"].to_list()
    assert 4 <= read_vectors(out / "embeddings.vectors", ids).known.sum() < len(ids)
    assert not (out / "embeddings.parquet").exists()

    assert simcrop("embed", line.run, line.cohort, "--out", out, "--resume").code == 0
    assert sorted(p.name for p in out.iterdir()) == ["embeddings.parquet", "metrics.json", "run.json"]
    assert pl.read_parquet(out / "embeddings.parquet").equals(pl.read_parquet(whole / "embeddings.parquet"))


def test_ingest_keeps_what_it_had_and_goes_on(simcrop: Callable, line, tmp_path: Path) -> None:
    words = ("ingest", line.raw, "--layout", "ct-rate", "--spacing", "5.5,5.5,10", "--out", tmp_path / "c")
    with files_up_to(9000):
        assert "disk is full" in last_line(simcrop(*words))
    assert not list((tmp_path / "c").rglob("*.tmp"))
    assert simcrop("embed", line.run, tmp_path / "c", "--out", tmp_path / "e").code == 2
    assert simcrop(*words).code == 0
    left, right = (pl.read_parquet(c / "studies.parquet") for c in (tmp_path / "c", line.cohort))
    assert left["checksum"].equals(right["checksum"])


def ingest_words(line, out: Path, *more: object) -> tuple[object, ...]:
    return ("ingest", line.raw, "--layout", "ct-rate", "--spacing", "5.5,5.5,10", "--out", out, *more)


def same_store(cohort: Path, other: Path) -> bool:
    """Tables and volumes; the source paths are the same as both were made of one source."""
    tables = ("studies.parquet", "ledger.parquet")
    same = [pl.read_parquet(cohort / t).equals(pl.read_parquet(other / t)) for t in tables]
    return all(same) and content(cohort / "volumes") == content(other / "volumes")


def test_ingest_with_workers_keeps_what_it_had_and_goes_on(simcrop: Callable, line, tmp_path: Path) -> None:
    words = ingest_words(line, tmp_path / "c", "--workers", 2)
    with files_up_to(9000):  # workers inherit the limit
        assert "disk is full" in last_line(simcrop(*words))
    assert not list((tmp_path / "c").rglob("*.tmp"))
    assert not (tmp_path / "c/cohort.json").exists()
    assert simcrop(*words).code == 0
    assert same_store(tmp_path / "c", line.cohort)


# Bytes: the line on stderr, which is a file here, but not even run.json; and lines of the journal, but no volume.
@pytest.mark.parametrize("room", [400, 1200])
def test_ingest_that_cannot_write_its_journal_is_one_line_and_goes_on(
    simcrop: Callable, line, room: int, tmp_path: Path
) -> None:
    with files_up_to(room):
        message = last_line(simcrop(*ingest_words(line, tmp_path / "c")))
    assert "disk is full" in message
    assert str(tmp_path / "c") in message
    assert simcrop(*ingest_words(line, tmp_path / "c")).code == 0
    assert same_store(tmp_path / "c", line.cohort)


@pytest.mark.parametrize("table", ["studies.parquet", "ledger.parquet", "cohort.json"])
def test_ingest_that_cannot_write_a_table_is_one_line_and_keeps_its_scans(
    simcrop: Callable, line, table: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, whole: bytes) -> None:
        with files_up_to(40 if path.name == table else resource.getrlimit(resource.RLIMIT_FSIZE)[1]):
            write_whole(path, whole)

    with monkeypatch.context() as patch:
        for module in ("data.ingest", "files"):
            patch.setattr(f"simcrop.{module}.tables.write_whole", full)
        message = last_line(simcrop(*ingest_words(line, tmp_path / "c")))
    assert table in message
    assert "disk is full" in message
    assert not (tmp_path / "c/cohort.json").exists()
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "c/volumes").iterdir()}
    assert simcrop(*ingest_words(line, tmp_path / "c")).code == 0
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "c/volumes").iterdir()} == before
    assert same_store(tmp_path / "c", line.cohort)


def test_phantom_leaves_no_half_scan_and_goes_on(simcrop: Callable, line, tmp_path: Path) -> None:
    words = ("phantom", tmp_path / "raw", "--patients", 2, "--seed", 0)
    with files_up_to(20_000):
        assert "disk is full" in last_line(simcrop(*words))
    assert not list((tmp_path / "raw").rglob("*.nii.gz*"))
    assert simcrop(*words).code == 0
    assert (tmp_path / "raw" / line.scan.relative_to(line.raw)).read_bytes() == line.scan.read_bytes()


def pretrain(simcrop: Callable, line, out: Path, *more: object):
    settings = [word for setting in line.SETTINGS for word in ("--set", setting)]
    words = ("pretrain", line.cohort, "--recipe", "simcrop-tiny", "--set", "checkpoint.every=2")
    return simcrop(*words, "--out", out, *settings, *more)


def test_pretrain_keeps_older_checkpoints_and_resumes_to_the_same_weights(
    simcrop: Callable, line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, out = tmp_path / "whole", tmp_path / "out"
    assert pretrain(simcrop, line, whole).code == 0

    from simcrop.engine import checkpoint, checkpoint_writer

    def full_at_the_end(folder: Path, state: checkpoint.TrainingState, *rest) -> Path:
        with files_up_to(100_000 if state.step == 3 else resource.getrlimit(resource.RLIMIT_FSIZE)[1]):
            return checkpoint.save_checkpoint(folder, state, *rest)

    monkeypatch.setattr(checkpoint_writer, "save_checkpoint", full_at_the_end)
    message = last_line(pretrain(simcrop, line, out))
    assert "step-00000003" in message
    assert "--resume" in message
    assert [p.name for p in (out / "checkpoints").iterdir()] == ["step-00000002"]
    assert not (out / "model").exists()

    monkeypatch.undo()
    monkeypatch.setattr("sys.argv", ["simcrop"])
    assert pretrain(simcrop, line, out, "--resume").code == 0
    same = [(folder / "model/model.safetensors").read_bytes() for folder in (whole, out)]
    assert same[0] == same[1]


def test_pretrain_that_cannot_even_begin_leaves_nothing(simcrop: Callable, line, tmp_path: Path) -> None:
    with files_up_to(300):
        assert "disk is full" in last_line(pretrain(simcrop, line, tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_model_that_cannot_be_written_is_one_line_and_resumes(
    simcrop: Callable, line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from simcrop.tasks.training import train as task

    def full(trained, recipe, folder: Path, save=task.save_model) -> None:
        with files_up_to(100_000):
            save(trained, recipe, folder)

    with monkeypatch.context() as patch:
        patch.setattr(task, "save_model", full)
        assert "perhaps the disk is full" in last_line(pretrain(simcrop, line, tmp_path / "out"))
    assert not list((tmp_path / "out").glob("model*"))
    assert pretrain(simcrop, line, tmp_path / "out", "--resume").code == 0
    assert (tmp_path / "out/model/model.safetensors").exists()


def test_weights_import_leaves_nothing(simcrop: Callable, tmp_path: Path) -> None:
    import torch

    torch.save({"model": {"cls_token": torch.zeros(1, 1, 5000)}}, tmp_path / "mae.pth")
    words = ("weights", "import", "mae-imagenet", tmp_path / "mae.pth", "--out", tmp_path / "out")
    with files_up_to(4000):
        assert str(tmp_path / "out") in simcrop(*words).refusal
    assert not (tmp_path / "out").exists()
    ran = simcrop(*words)
    assert ran.code == 0, ran.err
    assert f"init.mae={tmp_path / 'out' / 'mae.safetensors'}" in ran.out


def test_rename_that_fails_leaves_the_old_file_whole(
    simcrop: Callable, line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    for verb, ask in (("ground", ASK), ("embed", ())):
        out = tmp_path / verb
        with monkeypatch.context() as patch:
            patch.setattr("os.replace", full)
            assert "disk is full" in last_line(simcrop(verb, line.run, line.scan, *ask, "--out", out))
        assert not out.exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 64 KiB."""
    mount = shutil.which("mount")
    (tmp_path / "disk").mkdir()
    words = ("-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path / "disk"))
    if mount is None or subprocess.run([mount, *words], capture_output=True, check=False).returncode:
        pytest.skip("NO SMALL DISK: no tmpfs may be mounted here; the file-size limit stands in for it")
    yield tmp_path / "disk"
    subprocess.run(["umount", str(tmp_path / "disk")], check=True)


@pytest.mark.parametrize("workers", [1, 2])
def test_read_only_target_is_one_line_and_what_was_there_stays(
    simcrop: Callable, line, small_disk: Path, workers: int
) -> None:
    (small_disk / "c").mkdir()
    begun = (line.cohort / "ingest.jsonl").read_bytes().splitlines(keepends=True)[0]
    (small_disk / "c/ingest.jsonl").write_bytes(begun)
    before = content(small_disk)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    for out in (small_disk / "c", small_disk / "new", small_disk / "deep/er"):
        message = last_line(simcrop(*ingest_words(line, out, "--workers", workers)))
        assert str(small_disk) in message
        assert "cannot be written: Read-only file system" in message
    for verb, ask in (("ground", ASK), ("embed", ())):
        assert "Read-only" in last_line(simcrop(verb, line.run, line.scan, *ask, "--out", small_disk / verb))
    assert content(small_disk) == before


def test_real_full_disk_is_one_line_for_every_verb(simcrop: Callable, line, small_disk: Path) -> None:
    settings = [word for setting in line.SETTINGS for word in ("--set", setting)]
    verbs = {
        "phantom": (small_disk / "raw", "--patients", 12),
        "ingest": ingest_words(line, small_disk / "c")[1:],
        "pretrain": (line.cohort, "--recipe", "simcrop-tiny", *settings, "--out", small_disk / "run"),
        "ground": (line.run, line.scan, *ASK, "--out", small_disk / "g"),
    }
    for verb, words in verbs.items():
        message = last_line(simcrop(verb, *words))
        assert "full" in message or "No space left" in message
        assert str(small_disk) in message
        left = [p for p in small_disk.rglob("*") if p.name.endswith((".tmp", ".partial", ".unfinished"))]
        assert left == []
        for inside in small_disk.iterdir():
            shutil.rmtree(inside)
