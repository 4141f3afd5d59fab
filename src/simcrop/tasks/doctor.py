"""`simcrop doctor`: what this machine has for a run, what it lacks, and the command that mends it.

No axes or units. Nothing raises: a check that cannot be made says so, and counts as a warning.
"""

import locale
import os
import resource
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib import import_module
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

from simcrop.errors import SimcropError, printable
from simcrop.logs.choice import is_installed
from simcrop.tasks import doctor_checks as checks
from simcrop.tasks import doctor_facts as facts
from simcrop.tasks.doctor_checks import Checked
from simcrop.weights.embedded import text_encoder_folder

Check = Callable[[], Checked]
# Each extra of the package, the modules that it brings, and what for.
EXTRAS = {
    "ray": (["ray"], "ingest and embed on a cluster"),
    "h5": (["h5py"], "features in HDF5 files"),
    "dicom": (["highdicom"], "masks, maps and reports in DICOM"),
    "tensorboard": (["tensorboard"], "curves in TensorBoard, log.tensorboard=true"),
    "wandb": (["wandb"], "curves in W&B, log.wandb=offline"),
    "mlflow": (["mlflow"], "curves in MLflow, log.mlflow=true"),
    "hub": (["huggingface_hub"], "models at hf:// ids, simcrop push"),
    "viewer": (["starlette", "uvicorn", "python_multipart"], "scans and maps in a browser, simcrop view"),
    "onnx": (["onnx", "onnxscript", "onnxruntime"], "encoders as ONNX, simcrop export --onnx"),
    "docs": (["zensical"], "the documentation as a site, make site"),
}


def examine(at: Path) -> list[Checked]:
    """Every check, for runs whose folder would be in `at`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [asked(name, check) for name, check in every_check(at).items()]


def asked(name: str, check: Check) -> Checked:
    """What a check finds; that it found nothing, where it fails."""
    try:
        return check()
    except (Exception, SystemExit) as error:  # noqa: BLE001
        # A broken machine is what this is for: whatever is broken must not hide the rest.
        words = f"could not be found out: {type(error).__name__}: {printable(str(error))[:200]}"
        needed = name in {"torch", "disk"}
        mend = "pip install --force-reinstall torch" if name == "torch" else ""
        return Checked(name, "missing" if needed else "warn", words, mend)


def possible(findings: Sequence[Checked]) -> bool:
    """Whether a run can be trained here."""
    return all(found.state != "missing" for found in findings)


def as_text(findings: Sequence[Checked]) -> Iterator[str]:
    """A line each, the command that mends it below, and what comes of all."""
    width = max(len(found.name) for found in findings)
    for found in findings:
        yield f"{found.state:<7}  {found.name:<{width}}  {found.words}"
        if found.mend:
            yield f"{'':<7}  {'':<{width}}  $ {found.mend}"
    lacking = [found.name for found in findings if found.state == "missing"]
    yield (
        f"pre-training is not possible here: {', '.join(lacking)}"
        if lacking
        else "pre-training is possible here"
    )


def as_tree(findings: Sequence[Checked]) -> dict[str, Any]:
    """The same for a program."""
    return {"possible": possible(findings), "checks": [vars(found) for found in findings]}


def every_check(at: Path) -> dict[str, Check]:
    """By name, in the order in which they are told."""
    return {
        "packages": lambda: checks.packages(facts.unmet("simcrop")),
        "torch": torch_build,
        "gpu": gpu,
        "precision": precision,
        "cores": lambda: checks.cores(len(os.sched_getaffinity(0)), os.cpu_count() or 1, facts.core_limit()),
        "memory": lambda: checks.memory(*facts.memory(), facts.memory_limit(), facts.memory_left()),
        "shared memory": lambda: checks.shared_memory(shutil.disk_usage("/dev/shm").total),
        "disk": lambda: checks.disk(facts.trial(at)),
        "open files": lambda: checks.descriptors(*resource.getrlimit(resource.RLIMIT_NOFILE)),
        "text encoder": text_encoder,
        "torchvision": torchvision,
        "numba cache": lambda: checks.numba_cache(numba_folder()),
        "compiler": compiler,
        "encoding": lambda: checks.encoding(sys.getfilesystemencoding(), locale.getpreferredencoding(False)),
        **{f"extra {name}": partial(extra, name) for name in EXTRAS},
    }


def torch_build() -> Checked:
    import torch

    return checks.build(torch.__version__, torch.version.cuda, facts.has_nvidia_card())


def gpu() -> Checked:
    import torch

    cards = facts.cards()
    kinds = torch.cuda.get_arch_list() if cards else []
    hidden = "CUDA_VISIBLE_DEVICES" in os.environ
    driver = facts.driver_version()
    return checks.gpu(cards, torch.version.cuda, kinds, driver, facts.has_nvidia_card(), hidden)


def precision() -> Checked:
    import torch

    from simcrop.engine.precision import best_precision

    if torch.cuda.is_available():
        return checks.precision(best_precision(), "card", [])
    asked_of_torch = {
        "AMX": "_is_amx_tile_supported",
        "AVX-512 BF16": "_is_avx512_bf16_supported",
        "AVX-512": "_is_avx512_supported",
        "AVX2": "_is_avx2_supported",
    }
    has = [name for name, question in asked_of_torch.items() if getattr(torch.cpu, question, bool)()]
    return checks.precision(best_precision(), "processor", has)


def text_encoder() -> Checked:
    try:
        text_encoder_folder("minilm")
    except SimcropError as error:
        return checks.text_encoder(error.sentence)
    return checks.text_encoder()


def torchvision() -> Checked:
    try:
        found = version("torchvision")
    except PackageNotFoundError:
        return checks.torchvision(None, "", "", "")
    pinned = [line.split(";")[0] for line in requires("torchvision") or () if line.startswith("torch==")]
    wants = "".join(pinned[:1]).removeprefix("torch==").strip()
    return checks.torchvision(found, wants, version("torch"), import_error("torchvision"))


def import_error(module: str) -> str:
    try:
        import_module(module)
    except Exception as error:  # noqa: BLE001
        return f"{type(error).__name__}: {printable(str(error))[:120]}"
    return ""


def numba_folder() -> Path | None:
    """Where `jit` keeps what it compiles, as numba looks for it."""
    beside = Path(__file__).parents[1] / "metrics" / "__pycache__"
    named = os.environ.get("NUMBA_CACHE_DIR")
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "numba"
    places = [Path(named)] if named else [beside, home]
    return next((place for place in places if facts.writable(place)), None)


def compiler() -> Checked:
    return checks.compiler(facts.cpp_compiler(), bool(facts.cards()))


def extra(name: str) -> Checked:
    modules, what = EXTRAS[name]
    return checks.extra(name, all(map(is_installed, modules)), what)
