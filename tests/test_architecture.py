"""The tree is the architecture: who may import whom, read from the source itself."""

import ast
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import simcrop

SOURCE = Path(simcrop.__file__).parent
ABOVE = {
    "data": "nn losses objectives engine studies tasks evaluation model config weights cli figures metrics",
    "nn": "losses objectives engine studies tasks evaluation model config weights cli figures metrics",
    "losses": "data nn objectives engine studies tasks evaluation model config weights cli figures metrics",
    "metrics": "data nn losses objectives engine studies tasks evaluation model config weights cli figures",
    "objectives": "engine studies tasks evaluation model config weights cli figures metrics",
    "engine": "data nn losses objectives studies tasks evaluation model config weights cli figures metrics",
    "weights": "losses objectives engine studies tasks evaluation model config cli figures metrics",
    "config": "tasks evaluation model weights cli figures metrics",
    "model": "tasks evaluation cli figures metrics",
    "figures": "nn losses objectives engine studies tasks evaluation model config weights cli",
    "evaluation": "engine studies tasks weights cli figures",
    "tasks": "studies cli",
    "studies": "cli",
}
LAYERS = {layer: set(names.split()) for layer, names in ABOVE.items()}
FILES = sorted(SOURCE.rglob("*.py"))


def imports(path: Path) -> set[str]:
    """Every module that a file imports anywhere, names imported from packages included."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: relative import"
            found |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("layer", sorted(LAYERS))
def test_arrows_point_one_way(layer: str) -> None:
    home = SOURCE / layer
    files = sorted(home.rglob("*.py")) if home.is_dir() else [home.with_suffix(".py")]
    assert files
    for path in files:
        inner = {name.split(".")[1] for name in imports(path) if name.startswith("simcrop.")}
        assert not inner & LAYERS[layer], (
            f"{path.relative_to(SOURCE)} must not import {inner & LAYERS[layer]}"
        )


def test_only_one_file_speaks_to_other_processes() -> None:
    speaking = {p.name for p in FILES if any(name.startswith("torch.distributed") for name in imports(p))}
    assert speaking == {"distributed.py"}


def test_nothing_imports_torchvision_or_pickle_and_torchvision_is_not_there() -> None:
    for path in FILES:
        roots = {name.split(".")[0] for name in imports(path)}
        assert not roots & {"torchvision", "timm", "ipdb", "dill", "joblib"}, path
    assert find_spec("torchvision") is None


def test_pickles_are_read_only_by_the_importer_and_by_tensors_alone() -> None:
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
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
        assert ast.get_docstring(ast.parse(text)), path
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
