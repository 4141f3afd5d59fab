"""What the system says of itself, read from made-up trees of both versions of control groups. Memory in bytes."""

import os
import shutil
from pathlib import Path

import pytest

from simcrop.tasks.doctor_facts import (
    core_limit,
    cpp_compiler,
    driver_version,
    has_nvidia_card,
    memory,
    memory_left,
    memory_limit,
    new_enough,
    trial,
    unmet,
    writable,
)


def system(root: Path, groups: str, files: dict[str, str]) -> Path:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(groups)
    for name, text in files.items():
        path = root / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_the_tightest_limit_above_a_process_holds(tmp_path: Path) -> None:
    root = system(
        tmp_path,
        "0::/job/step\n",
        {
            "job/step/memory.max": "max\n",
            "job/memory.max": "4000000000\n",
            "job/step/cpu.max": "max 100000\n",
            "job/cpu.max": "250000 100000\n",
        },
    )
    assert memory_limit(root) == 4_000_000_000
    assert core_limit(root) == 2.5


def test_the_older_version_of_control_groups_is_read(tmp_path: Path) -> None:
    root = system(
        tmp_path,
        "5:memory:/docker/x\n3:cpu,cpuacct:/docker/x\n0::/\n",
        {
            "memory/docker/x/memory.limit_in_bytes": "2000000000\n",
            "memory/memory.limit_in_bytes": "9223372036854771712\n",
            "cpu/docker/x/cpu.cfs_quota_us": "50000\n",
            "cpu/docker/x/cpu.cfs_period_us": "100000\n",
            "cpu/cpu.cfs_quota_us": "-1\n",
        },
    )
    assert memory_limit(root) == 2_000_000_000
    assert core_limit(root) == 0.5


def test_inside_a_container_its_own_group_lies_at_the_top(tmp_path: Path) -> None:
    root = system(tmp_path, "4:memory:/docker/abc\n", {"memory/memory.limit_in_bytes": "3000000000\n"})
    assert memory_limit(root) == 3_000_000_000


@pytest.mark.parametrize(
    ("groups", "files"),
    [
        (
            "0::/job/step\n",
            {
                "job/step/memory.max": "max\n",
                "job/memory.max": "4000\n",
                "job/memory.current": "3500\n",
                "job/memory.stat": "anon 3000\nfile 500\ninactive_file 400\n",
            },
        ),
        (
            "4:memory:/x\n",
            {
                "memory/x/memory.limit_in_bytes": "4000\n",
                "memory/x/memory.usage_in_bytes": "3500\n",
                "memory/x/memory.stat": "inactive_file 1\ntotal_inactive_file 400\n",
                "memory/memory.limit_in_bytes": "9223372036854771712\n",
                "memory/memory.usage_in_bytes": "5000\n",
                "memory/memory.stat": "total_inactive_file 400\n",
            },
        ),
    ],
)
def test_what_a_group_uses_already_is_taken_from_its_limit(
    tmp_path: Path, groups: str, files: dict[str, str]
) -> None:
    assert memory_left(system(tmp_path, groups, files)) == 900


def test_no_limit_is_none(tmp_path: Path) -> None:
    root = system(tmp_path, "4:memory:/\n0::/\n", {"memory/memory.limit_in_bytes": "9223372036854771712\n"})
    assert memory_limit(root) is None
    assert memory_left(root) is None
    assert core_limit(root) is None


def test_memory_is_all_and_what_is_not_in_use(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text("MemTotal:  2000 kB\nMemAvailable:  500 kB\nHugePages_Total: 0\n")
    assert memory(tmp_path) == (2000 * 1024, 500 * 1024)


@pytest.mark.parametrize(
    ("vendor", "kind", "seen"),
    [("0x10de", "0x030200", True), ("0x10de", "0x040300", False), ("0x8086", "0x030000", False)],
)
def test_a_card_is_seen_without_its_driver(tmp_path: Path, vendor: str, kind: str, seen: bool) -> None:
    device = tmp_path / "sys/bus/pci/devices/0000:01:00.0"
    device.mkdir(parents=True)
    (device / "vendor").write_text(f"{vendor}\n")
    (device / "class").write_text(f"{kind}\n")
    assert has_nvidia_card(tmp_path) == seen


def test_no_driver_is_none() -> None:
    assert driver_version("libno-such-driver.so.1") is None


def test_a_trial_leaves_nothing_behind(tmp_path: Path) -> None:
    tried = trial(tmp_path / "not" / "there")
    assert (tried.folder, tried.trouble) == (tmp_path, "")
    assert tried.free > 0
    assert list(tmp_path.iterdir()) == []


def test_a_trial_says_what_went_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(file: int) -> None:
        del file
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", refuse)
    assert trial(tmp_path).trouble == "Input/output error"
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    assert trial(tmp_path / "file").trouble == "it is a file"


def test_a_compiler_that_cannot_read_a_file_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "false")
    assert cpp_compiler() is None
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert cpp_compiler() is None
    monkeypatch.setenv("CXX", "true")
    assert cpp_compiler() == shutil.which("true")


def test_a_file_is_no_place_to_write_into(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert writable(tmp_path / "new" / "folder")
    assert not writable(tmp_path / "file" / "folder")


def test_a_package_that_is_absent_or_older_is_unmet(monkeypatch: pytest.MonkeyPatch) -> None:
    assert new_enough("numpy", "1.26")
    assert not new_enough("numpy", "99.1")
    assert not new_enough("no-such-package", "0.1")
    asked = ["numpy>=1.26", "torch>=99", "no-such>=1.0", 'ray>=99; extra == "ray"']
    monkeypatch.setattr("simcrop.tasks.doctor_facts.requires", lambda _: asked)
    assert unmet("simcrop") == ["torch>=99", "no-such>=1.0"]
