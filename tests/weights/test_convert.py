"""Downloaded checkpoints become safetensors; a pickle that would run code is refused and does not run."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from simcrop.data.samples.tokenizer import Tokenizer
from simcrop.errors import SimcropError
from simcrop.nn.text_encoder import read_text_encoder
from simcrop.weights.convert import convert


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.path),)


def test_pickled_bert_folder_becomes_one_that_loads(tmp_path: Path, write_bert: Callable[..., Path]) -> None:
    source = write_bert(tmp_path / "source")
    state = load_file(source / "model.safetensors")
    (source / "model.safetensors").unlink()
    torch.save({f"bert.{name}": tensor for name, tensor in state.items()}, source / "pytorch_model.bin")
    line = convert("cxr-bert", source, tmp_path / "out")
    assert f"--set text.model={tmp_path / 'out'}" in line
    read = read_text_encoder(tmp_path / "out").bert.state_dict()
    assert all(torch.equal(read[name], tensor) for name, tensor in state.items())
    assert {p.suffix for p in (tmp_path / "out").iterdir()} == {".json", ".safetensors", ".txt"}
    assert json.loads((tmp_path / "out" / "config.json").read_text())["hidden_size"] == 24


def test_a_tokenizer_in_one_file_comes_along(tmp_path: Path, write_bert: Callable[..., Path]) -> None:
    source = write_bert(tmp_path / "source")
    vocabulary = {piece: i for i, piece in enumerate(Tokenizer.load(source).vocabulary)}
    (source / "vocab.txt").unlink()
    described = {"model": {"type": "WordPiece", "vocab": vocabulary}, "normalizer": {"lowercase": False}}
    (source / "tokenizer.json").write_text(json.dumps(described))
    convert("cxr-bert", source, tmp_path / "out")
    assert Tokenizer.load(tmp_path / "out") == Tokenizer(tuple(vocabulary), lower_case=False)


def test_a_folder_without_a_tokenizer_is_refused_by_its_own_name(
    tmp_path: Path, write_bert: Callable[..., Path]
) -> None:
    source = write_bert(tmp_path / "source")
    (source / "vocab.txt").unlink()
    with pytest.raises(SimcropError, match=r"no vocab\.txt and no tokenizer\.json") as refused:
        convert("cxr-bert", source, tmp_path / "out")
    assert refused.value.sentence.startswith(f"{source} ")


@pytest.mark.parametrize("wrap", [None, "model", "state_dict"])
def test_tensors_are_found_at_the_top_or_under_their_usual_names(tmp_path: Path, wrap: str | None) -> None:
    state = {"cls_token": torch.randn(1, 1, 3), "norm.weight": torch.randn(3)}
    torch.save(state if wrap is None else {wrap: state, "epoch": 3}, tmp_path / "mae.pth")
    line = convert("mae-imagenet", tmp_path / "mae.pth", tmp_path / "out")
    assert "--set init.mae=" in line
    found = load_file(tmp_path / "out" / "mae.safetensors")
    assert found.keys() == state.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in state.items())


def test_pickle_that_runs_code_is_refused_and_does_not_run(tmp_path: Path) -> None:
    torch.save({"norm.weight": torch.zeros(2), "trap": Trap(tmp_path / "sprung")}, tmp_path / "mae.pth")
    with pytest.raises(SimcropError, match="tensors alone"):
        convert("mae-imagenet", tmp_path / "mae.pth", tmp_path / "out")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 torn"])
def test_file_that_is_no_checkpoint_is_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "mae.pth").write_bytes(content)
    with pytest.raises(SimcropError) as refused:
        convert("mae-imagenet", tmp_path / "mae.pth", tmp_path / "out")
    assert "mae.pth" in refused.value.sentence
    assert "\n" not in refused.value.sentence


def test_checkpoint_without_tensors_is_refused(tmp_path: Path) -> None:
    torch.save({"epoch": 3}, tmp_path / "mae.pth")
    with pytest.raises(SimcropError, match="no tensors"):
        convert("mae-imagenet", tmp_path / "mae.pth", tmp_path / "out")


def test_unknown_kind_and_missing_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(SimcropError, match=r"'bert'.*cxr-bert, m3d, mae-imagenet, released"):
        convert("bert", tmp_path, tmp_path / "out")
    with pytest.raises(SimcropError, match="no such file"):
        convert("mae-imagenet", tmp_path / "nowhere.pth", tmp_path / "out")
