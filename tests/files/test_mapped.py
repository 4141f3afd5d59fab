"""Tensors in a mapped file: what was written is what is read, and nothing else is ever taken for it. No axes."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from simcrop.errors import SimcropError
from simcrop.files import mapped
from simcrop.files.mapped import open_checked, open_mapped, remove_others, save_mapped
from simcrop.files.whole import temporary_name, writer_of

TENSORS = {
    "features": torch.linspace(-1, 1, 21).view(7, 3),
    "ids": torch.tensor([5, 2, 9], dtype=torch.int32),
    "starts": torch.tensor([0, 2**40]),
    "normal": torch.tensor([True, False]),
    "bytes": torch.arange(5, dtype=torch.uint8),
    "nothing": torch.zeros(0, 3),
}


def test_what_is_read_is_what_was_written_to_the_bit(tmp_path: Path) -> None:
    path = tmp_path / "bank-a-b.safetensors"
    save_mapped(path, TENSORS, {"said": "3"})
    found = open_checked(path)
    assert found is not None
    assert found.facts["said"] == "3"
    assert found.tensors.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert found.tensors[name].dtype == tensor.dtype
        assert torch.equal(found.tensors[name], tensor)
    found.release()
    assert torch.equal(found.tensors["features"], TENSORS["features"]), "it is read again when it is used"


def test_memory_of_what_was_read_is_given_back(tmp_path: Path) -> None:
    path = tmp_path / "bank-a-b.safetensors"
    save_mapped(path, {"large": torch.ones(4 << 20)}, {})
    found = open_mapped(path)
    before = resident()
    found.tensors["large"].sum()
    assert resident() > before + (12 << 20)
    found.release()
    assert resident() < before + (4 << 20)


def resident() -> int:
    """Bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize("place", ["header", "tensors", "checksum"])
def test_no_byte_can_change_unseen(tmp_path: Path, place: str) -> None:
    path = tmp_path / "bank-a-b.safetensors"
    save_mapped(path, TENSORS, {"said": "3"})
    content = bytearray(path.read_bytes())
    start = 8 + int.from_bytes(content[:8], "little")
    at = {"header": content.index(b"F32"), "tensors": start + 9, "checksum": content.index(b"checksum") + 12}
    content[at[place]] ^= 1
    path.write_bytes(content)
    assert open_checked(path) is None


@pytest.mark.parametrize("kept", [0, 3, 8, 100, -1])
def test_torn_file_is_none_and_one_line_for_whoever_must_have_it(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "bank-a-b.safetensors"
    save_mapped(path, TENSORS, {})
    path.write_bytes(path.read_bytes()[:kept])
    assert open_checked(path) is None
    with pytest.raises(SimcropError, match=r"bank-a-b\.safetensors: gone or damaged") as found:
        open_mapped(path)
    assert "\n" not in found.value.sentence


KILLED = """
import os, signal, sys
from pathlib import Path
import torch
from simcrop.files import tensors
from simcrop.files.mapped import save_mapped
tensors.flush = lambda path: os.kill(os.getpid(), signal.SIGKILL)
save_mapped(Path(sys.argv[1]), {"a": torch.ones(9)}, {})
"""


def test_writer_that_is_killed_leaves_nothing_that_is_read_and_the_next_clears_up(tmp_path: Path) -> None:
    path = tmp_path / "bank-a-b.safetensors"
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".bank-a-b")
    assert open_checked(path) is None
    remove_others(path)
    assert list(tmp_path.iterdir()) == []


def test_only_files_of_another_source_and_leavings_of_the_dead_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mapped, "is_dead", lambda holder, _: holder.endswith(" 7"))
    names = (
        "bank-new-1.safetensors",
        "bank-new-2.safetensors",
        "bank-old-1.safetensors",
        "index-old-1.safetensors",
    )
    left = ".bank-new-1.safetensors.host-a-7.tmp", ".bank-new-1.safetensors.host-a-8.tmp"
    for name in (*names, *left, "x.vectors"):
        (tmp_path / name).touch()
    remove_others(tmp_path / names[0])
    assert {path.name for path in tmp_path.iterdir()} == {*names[:2], names[3], left[1], "x.vectors"}


def test_leavings_are_told_from_files_at_work_on_a_machine_of_any_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "node-7.cluster-of-a-hospital.example.org", "x" * 64):
        monkeypatch.setattr(os, "uname", lambda name=name: SimpleNamespace(nodename=name))
        path = tmp_path / "bank-new-1.safetensors"
        at_work = temporary_name(path)
        assert writer_of(at_work) == f"{name} {os.getpid()}"
        dead = at_work.with_name(at_work.name.replace(f"-{os.getpid()}.", "-4194305."))
        dead.touch()
        monkeypatch.setattr(os, "uname", lambda name=name: SimpleNamespace(nodename=f"{name}-b"))
        elsewhere = temporary_name(path).with_name(
            temporary_name(path).name.replace(f"-{os.getpid()}.", "-4194305.")
        )
        elsewhere.touch()
        monkeypatch.setattr(os, "uname", lambda name=name: SimpleNamespace(nodename=name))
        remove_others(path)
        assert not dead.exists()
        assert elsewhere.exists()
        assert len(at_work.name) < len(path.name) + 40
