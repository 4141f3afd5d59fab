"""The wheel and the sdist: built, unpacked, built again, and installed into an environment of their own.

No axes or units. What an installed simcrop depends on is borrowed from the environment of the tests, but for simcrop.
"""

import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

import simcrop

REPOSITORY = Path(__file__).parents[1]
SOURCE = REPOSITORY / "src" / "simcrop"
PAGE, BUNDLE = SOURCE / "viewer" / "page", "niivue.js"  # the viewer's; its bundle is built, not committed
DATA = {".yaml", ".css", ".html", ".js", ".json", ".svg", ".png"}


@dataclass(frozen=True)
class Built:
    """The two files, and the folder that the sdist unpacks to."""

    wheel: Path
    sdist: Path
    unpacked: Path


def run(*words: object, cwd: Path, **more: str) -> str:
    """What a command prints; it must end well. Nothing of the environment of the tests leads it to the source tree."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [*map(str, words)],
        cwd=cwd,
        env=environment | more,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build(source: Path, out: Path, *kinds: str) -> None:
    words = [word for kind in kinds for word in ("-t", kind)]
    run(sys.executable, "-m", "hatchling", "build", *words, "-d", out, cwd=source)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    out = tmp_path_factory.mktemp("dist")
    build(REPOSITORY, out, "wheel", "sdist")
    (wheel,), (sdist,) = out.glob("*.whl"), out.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(out, filter="data")
    return Built(wheel, sdist, out / f"simcrop-{simcrop.__version__}")


@pytest.fixture(scope="module")
def installed(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` folder of a new environment that holds the wheel, and beside it all that simcrop depends on."""
    home = tmp_path_factory.mktemp("fresh")
    run(sys.executable, "-m", "venv", "--without-pip", home / "venv", cwd=home)
    # Folders that a .pth adds are searched, but no .pth in them is read: an editable simcrop there stays unseen.
    (packages,) = (home / "venv" / "lib").glob("python*/site-packages")
    (packages / "borrowed.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    where = home / "venv" / "bin" / "python"
    words = ["install", "--quiet", "--no-deps", "--no-index", "--no-compile", "--disable-pip-version-check"]
    run(sys.executable, "-m", "pip", "--python", where, *words, built.wheel, cwd=home)
    return where.parent


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def source_files() -> set[str]:
    paths = (path for path in SOURCE.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {str(path.relative_to(SOURCE.parent)) for path in paths}


def test_wheel_holds_every_file_of_the_package_and_nothing_else(built: Built) -> None:
    names = {name for name in contents(built.wheel) if ".dist-info/" not in name}
    assert names == source_files()
    kinds = {Path(name).parent.name for name in names if Path(name).suffix in DATA}
    assert {"recipes", "wordings", "protocols", "probes", "codes", "label_maps", "speeds", "figures"} <= kinds


def test_sdist_builds_the_same_wheel_and_holds_what_its_tests_read(built: Built) -> None:
    build(built.unpacked, built.unpacked / "again", "wheel")
    (again,) = (built.unpacked / "again").glob("*.whl")
    assert contents(again) == contents(built.wheel)
    for name in (
        "README.md",
        "LICENSE",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "CITATION.cff",
        "constraints.txt",
    ):
        assert (built.unpacked / name).is_file(), name
    for name in (
        "zensical.toml",
        "website/build.py",
        "docs/index.md",
        "tests/conftest.py",
        "benchmarks/README.md",
    ):
        assert (built.unpacked / name).is_file(), name


def test_installed_from_the_wheel_it_runs_by_itself(installed: Path, tmp_path: Path) -> None:
    where = run(installed / "python", "-c", "import simcrop; print(simcrop.__file__)", cwd=tmp_path)
    assert Path(where.strip()).is_relative_to(installed.parent)
    assert run(installed / "simcrop", "--version", cwd=tmp_path) == f"simcrop {simcrop.__version__}\n"
    assert "pretrain" in run(installed / "simcrop", "--help", cwd=tmp_path)
    assert "epochs: 140" in run(
        installed / "simcrop", "recipe", "show", "simcrop-paper", "--full", cwd=tmp_path
    )


def test_wheel_and_sdist_hold_the_viewers_page_with_its_bundle(
    built: Built, installed: Path, tmp_path: Path
) -> None:
    if not PAGE.is_dir():
        pytest.skip("there is no viewer in this tree")
    if not (PAGE / BUNDLE).is_file():
        pytest.skip(
            f"VIEWER'S BUNDLE MISSING: no {BUNDLE} in {PAGE}, so it is not known whether a wheel would hold it"
        )
    wheel = contents(built.wheel)
    for path in PAGE.rglob("*"):
        if path.is_file():
            assert wheel[str(path.relative_to(SOURCE.parent))] == path.read_bytes()
            assert (built.unpacked / path.relative_to(REPOSITORY)).read_bytes() == path.read_bytes()
    assert "--port" in run(installed / "simcrop", "view", "--help", cwd=tmp_path)
