"""What the system says of itself: cores, memory, limits, driver, storage. Memory and storage in bytes.

Each function asks one thing and may raise; `root` is where the files of the system lie.
"""

import ctypes
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

ROOT = Path("/")
NO_LIMIT = 2**60  # version 1 of control groups writes a number near 2**63 for none
# Of both versions: the limit, what is used, and what of it in `memory.stat` are files that may be dropped.
GROUP_MEMORY = (
    ("memory.max", "memory.current", "inactive_file"),
    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)
LEAST = re.compile(r"^([\w.-]+)\s*>=\s*([\d.]+)")


@dataclass(frozen=True)
class Card:
    """`memory` in bytes; `capability`: as CUDA counts it."""

    name: str
    memory: int
    capability: tuple[int, int]


@dataclass(frozen=True)
class Trial:
    """A folder, how many bytes are `free` there, and what went wrong when a file was stored as runs do it."""

    folder: Path
    free: int
    trouble: str = ""


def memory(root: Path = ROOT) -> tuple[int, int]:
    """All of the machine's, and what is not in use."""
    lines = (root / "proc/meminfo").read_text().splitlines()
    said = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines if line.endswith("kB")}
    return said["MemTotal"], said["MemAvailable"]


def control_group(kind: str, root: Path = ROOT) -> Iterator[Path]:
    """The folders whose limits hold for this process, from its own group up to the top."""
    mount = root / "sys/fs/cgroup"
    for line in (root / "proc/self/cgroup").read_text().splitlines():
        number, kinds, place = line.split(":", 2)
        if number != "0" and kind not in kinds.split(","):
            continue
        top = mount if number == "0" else mount / kind
        inner = Path(place.lstrip("/"))
        yield from (top / above for above in (inner, *inner.parents))


def numbers_in(folders: Iterator[Path], name: str) -> Iterator[list[str]]:
    """The words of the file `name` in each of the folders that has it."""
    for folder in folders:
        with suppress(OSError):
            yield (folder / name).read_text().split()


def memory_limit(root: Path = ROOT) -> int | None:
    """Of the container or job that this process is in; None where there is none."""
    names = ("memory.max", "memory.limit_in_bytes")
    said = [words[0] for name in names for words in numbers_in(control_group("memory", root), name) if words]
    return min((int(w) for w in said if w.isdecimal() and int(w) < NO_LIMIT), default=None)


def memory_left(root: Path = ROOT) -> int | None:
    """Of the limit, less what the group uses; files that are kept in memory and not asked for give way."""
    left: list[int] = []
    for limit, current, inactive in GROUP_MEMORY:
        for folder in control_group("memory", root):
            with suppress(OSError, ValueError, KeyError):
                most, used = (int((folder / name).read_text()) for name in (limit, current))
                lines = (line.split() for line in (folder / "memory.stat").read_text().splitlines())
                left += [most - used + int(dict(lines)[inactive])] if most < NO_LIMIT else []
    return min(left, default=None)


def core_limit(root: Path = ROOT) -> float | None:
    """How many cores' time the container or job may use."""
    found = [
        int(quota) / int(period)
        for quota, period in numbers_in(control_group("cpu", root), "cpu.max")
        if quota.isdecimal()
    ]
    for folder in control_group("cpu", root):
        with suppress(OSError):
            quota = int((folder / "cpu.cfs_quota_us").read_text())
            if quota > 0:
                found.append(quota / int((folder / "cpu.cfs_period_us").read_text()))
    return min(found, default=None)


def driver_version(library: str = "libcuda.so.1") -> tuple[int, int] | None:
    """Up to which CUDA the driver goes; None where there is no driver."""
    try:
        cuda = ctypes.CDLL(library)
    except OSError:
        return None
    number = ctypes.c_int(0)
    cuda.cuDriverGetVersion(ctypes.byref(number))
    return number.value // 1000, number.value % 1000 // 10


def has_nvidia_card(root: Path = ROOT) -> bool:
    """By what the kernel lists, driver or not."""
    return (
        any(
            (vendor.read_text().strip(), (vendor.parent / "class").read_text()[:4]) == ("0x10de", "0x03")
            for vendor in root.glob("sys/bus/pci/devices/*/vendor")
        )
        or (root / "proc/driver/nvidia/version").exists()
    )


def cards() -> list[Card]:
    """Those that torch can use."""
    import torch

    if not torch.cuda.is_available():
        return []
    said = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
    return [Card(one.name, one.total_memory, (one.major, one.minor)) for one in said]


def cpp_compiler() -> str | None:
    """The one that torch would take, if it can read a C++ file."""
    default = "clang++" if sys.platform == "darwin" else "g++"
    path = shutil.which(os.environ.get("CXX") or default)
    if path is None:
        return None
    tried = subprocess.run(
        [path, "-fsyntax-only", "-x", "c++", "-"], input=b"", capture_output=True, check=False
    )
    return None if tried.returncode else path


def trial(at: Path) -> Trial:
    """A file flushed, renamed and locked in `at` or where it would be made, and gone again."""
    from simcrop.errors import SimcropError
    from simcrop.files.lock import locked
    from simcrop.files.whole import flush_folder, write_whole

    folder = next(p for p in (at, *at.absolute().parents) if p.is_dir())
    free = shutil.disk_usage(folder).free
    if at.exists() and not at.is_dir():
        return Trial(at, free, "it is a file")
    try:
        with tempfile.TemporaryDirectory(prefix=".simcrop-doctor-", dir=folder) as name:
            inside = Path(name)
            with locked(inside / "lock", "this folder"):
                for content in (b"before", b"after"):
                    write_whole(inside / "file", content)
            (inside / "file").rename(inside / "renamed")
            flush_folder(inside)
            trouble = "" if (inside / "renamed").read_bytes() == b"after" else "a file came back changed"
    except SimcropError as error:
        trouble = error.sentence.rpartition(": ")[2]
    except OSError as error:
        trouble = error.strerror or str(error)
    return Trial(folder, free, trouble)


def writable(folder: Path) -> bool:
    """Whether files can be made in a folder, or it can be made."""
    above = next(p for p in (folder, *folder.absolute().parents) if p.exists())
    return above.is_dir() and os.access(above, os.W_OK | os.X_OK)


def unmet(distribution: str) -> list[str]:
    """What a package asks for and is not installed, or only in an older version; extras do not count."""
    needed = [LEAST.match(line) for line in requires(distribution) or () if "extra ==" not in line]
    return [f"{found[1]}>={found[2]}" for found in needed if found and not new_enough(found[1], found[2])]


def new_enough(distribution: str, least: str) -> bool:
    try:
        return numbers(version(distribution)) >= numbers(least)
    except PackageNotFoundError:
        return False


def numbers(words: str) -> list[int]:
    """`2.13.0+cpu` -> 2, 13, 0."""
    return [int(word) for word in re.findall(r"\d+", words.split("+")[0])]
