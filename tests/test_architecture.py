"""The tree is the architecture: who may import whom, read from the source itself."""

import ast
import re
import subprocess
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

import simcrop

SOURCE = Path(simcrop.__file__).parent
PAGE = Path(__file__).parents[1] / "docs" / "architecture.md"
WITH_ROOMS = {"data", "evaluation", "tasks"}
ENTRANCES = {"", "__main__"}  # the package itself and `python -m simcrop`, which only hand on
FILES = sorted(SOURCE.rglob("*.py"))


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@cache
def imports(path: Path) -> set[str]:
    """Every module that a file imports anywhere, names imported from packages included."""
    found: set[str] = set()
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: relative import"
            found |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def wing_of(parts: tuple[str, ...]) -> str:
    """`("data", "store", "cohort")` -> `data.store`: a folder or file of the package, or a room of it."""
    if len(parts) > 1 and parts[0] in WITH_ROOMS and SOURCE.joinpath(*parts[:2]).is_dir():
        return ".".join(parts[:2])
    return parts[0] if parts else ""


def home_of(path: Path) -> str:
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return wing_of(tuple(part for part in parts if part != "__init__"))


def table(page: str) -> dict[str, set[str]]:
    """The wings of the page, each with those that it may import."""
    lines = [line.strip("|").split("|") for line in page.splitlines() if line.startswith("| `")]
    return {wing.strip(" `"): set(re.findall(r"`([^`]+)`", names)) for wing, _, names in lines}


def is_wing(name: str) -> bool:
    path = SOURCE / name.replace(".", "/")
    return path.is_dir() or path.with_suffix(".py").is_file()


@cache
def used() -> dict[str, set[str]]:
    """The wings of the package, each with those that its files import."""
    wings: dict[str, set[str]] = {}
    for path in FILES:
        home = home_of(path)
        inner = {wing_of(tuple(name.split(".")[1:])) for name in imports(path) if name.startswith("simcrop.")}
        # `from simcrop.data.volume import Volume` names a wing and what lies in it; only the wing counts.
        wings.setdefault(home, set()).update(filter(is_wing, inner - {home, *ENTRANCES}))
    return wings


PAGE_SAYS = table(PAGE.read_text())


@pytest.mark.parametrize("wing", sorted(PAGE_SAYS))
def test_a_wing_imports_what_the_page_says_and_nothing_else(wing: str) -> None:
    assert used()[wing] == PAGE_SAYS[wing]


def test_the_page_names_every_wing() -> None:
    assert set(PAGE_SAYS) == set(used()) - ENTRANCES


def test_an_arrow_that_is_not_on_the_page_is_seen(tmp_path: Path) -> None:
    (tmp_path / "losses.py").write_text(
        "from simcrop.data.store.cohort import Cohort\nimport simcrop.engine.fit\n"
    )
    names = imports(tmp_path / "losses.py")
    assert {wing_of(tuple(n.split(".")[1:])) for n in names} == {"data.store", "engine"}
    assert table("| `losses` | pure | `errors` `data.store` |")["losses"] == {"errors", "data.store"}


def test_only_three_files_of_the_engine_speak_to_other_processes() -> None:
    speaking = {p for p in FILES if any(name.startswith("torch.distributed") for name in imports(p))}
    assert speaking == {
        SOURCE / "engine" / name for name in ("distributed.py", "sharding.py", "shard_files.py")
    }


def test_nothing_imports_torchvision_or_pickle_and_torchvision_is_not_there() -> None:
    for path in FILES:
        roots = {name.split(".")[0] for name in imports(path)}
        assert not roots & {"torchvision", "timm", "ipdb", "dill", "joblib"}, path
    assert find_spec("torchvision") is None


def test_pickles_are_read_only_by_the_importer_and_by_tensors_alone() -> None:
    for path in FILES:
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in {
                "torch.load",
                "pickle.load",
                "pickle.loads",
            }:
                assert path.parent.name == "weights", path
                assert {k.arg: ast.unparse(k.value) for k in node.keywords}["weights_only"] == "True"


@pytest.mark.parametrize("path", [*FILES, *sorted(Path(__file__).parent.rglob("*.py"))], ids=lambda p: p.name)
def test_no_file_is_longer_than_300_lines(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 300


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_file_says_what_it_is(path: Path) -> None:
    text = path.read_text()
    if text.strip():
        assert ast.get_docstring(tree_of(path)), path
    if "jaxtyping" in text:
        assert "from __future__ import annotations" not in text


def test_help_needs_none_of_the_heavy_packages() -> None:
    program = (
        "import sys\n"
        "from simcrop.cli.app import main\n"
        "try:\n    main(['--help'])\n"
        "except SystemExit as end:\n    assert end.code == 0\n"
        "heavy = {'torch', 'transformers', 'numpy', 'SimpleITK', 'matplotlib', 'polars', 'pydantic', 'nibabel'}\n"
        "print('heavy:', sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "pretrain" in done.stdout
    assert done.stdout.splitlines()[-1] == "heavy: []"


def test_package_itself_is_light_and_its_public_names_are_all_there() -> None:
    program = (
        "import simcrop, sys\n"
        "print('torch' in sys.modules)\n"
        "print(all(getattr(simcrop, name) for name in simcrop.__all__))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]
