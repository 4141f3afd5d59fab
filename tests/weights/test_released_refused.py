"""What is no whole encoder, or not understood, is refused in one line; and what an imported one cannot do."""

import os
import pickle
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from torch import Tensor

from simcrop.errors import SimcropError
from simcrop.tasks.weights import import_weights

State = dict[str, Tensor]


def write(folder: Path, content: object) -> Path:
    torch.save(content, folder / "released.pth")
    return folder / "released.pth"


def without(state: State, *starts: str) -> State:
    return {name: tensor for name, tensor in state.items() if not name.startswith(starts)}


def narrow(state: State) -> State:
    """96 features in place of 128, as far as these are looked at before."""
    return {**state, "patch_embed.proj.weight": torch.ones(96, 1, 4, 4, 2)}


STEM = "patch_embed.proj.weight"
REFUSED: dict[str, tuple[Callable[[State], State], str]] = {
    "a bias of a block lost": (lambda s: without(s, "blocks.3.mlp.fc2.bias"), "blocks.3.mlp.fc2.bias"),
    "a block lost": (lambda s: without(s, "blocks.4."), "7 blocks up to number 7"),
    "the last block lost": (lambda s: without(s, "blocks.7."), "7 blocks up to number 6"),
    "no block": (lambda s: without(s, "blocks."), "has no blocks.0"),
    "no norm": (lambda s: without(s, "norm."), "norm.bias, norm.weight"),
    "a norm of what was pooled": (
        lambda s: {**without(s, "norm."), "fc_norm.weight": torch.ones(128)},
        "fine-tuned classifier",
    ),
    "a position of a class token that is lost": (lambda s: without(s, "cls_token"), "28 positions"),
    "no patch embedding": (lambda s: without(s, "patch_embed"), f"no {STEM}"),
    "no bias of it": (lambda s: without(s, "patch_embed.proj.bias"), "patch_embed.proj.bias"),
    "layer scale": (lambda s: {**s, "blocks.0.ls1.gamma": torch.ones(128)}, "blocks.0.ls1.gamma"),
    "a norm before the blocks": (lambda s: {**s, "norm_pre.weight": torch.ones(128)}, "norm_pre.weight"),
    "further tokens": (lambda s: {**s, "register_tokens": torch.ones(1, 4, 128)}, "register_tokens"),
    "a code of the third axis": (lambda s: {**s, "depth_embed": torch.ones(1, 3, 128)}, "depth_embed"),
    "two encoders": (
        lambda s: s | {f"teacher.{name}": tensor for name, tensor in s.items()},
        "more than one encoder: patch_embed, teacher.patch_embed",
    ),
    "the same names twice": (lambda s: {**s, f"_orig_mod.{STEM}": s[STEM]}, "under two names"),
    "a 2D encoder": (lambda s: {**s, STEM: torch.ones(128, 3, 16, 16)}, "mae-imagenet"),
    "two channels": (lambda s: {**s, STEM: torch.ones(128, 2, 4, 4, 2)}, "(128, 2, 4, 4, 2)"),
    "slices first": (lambda s: {**s, STEM: torch.ones(128, 1, 2, 4, 4)}, "right, front, up"),
    "a linear map of other patches": (lambda s: {**s, STEM: torch.ones(128, 512)}, "(d, 2048)"),
    "heads of another size": (narrow, "96 features"),
    "a narrow block": (
        lambda s: {**s, "blocks.1.attn.proj.weight": torch.ones(128, 64)},
        "blocks.1.attn.proj",
    ),
    "narrow positions": (lambda s: {**s, "pos_embed": torch.ones(1, 28, 64)}, "pos_embed is (1, 28, 64)"),
    "flat positions": (lambda s: {**s, "pos_embed": torch.ones(128)}, "pos_embed is (128,)"),
    "31 positions": (lambda s: {**s, "pos_embed": torch.ones(1, 31, 128)}, "31 positions"),
    "no positions of other patches": (lambda s: without(s, "pos_embed"), "grid is not known"),
    "not a number": (
        lambda s: {**s, "blocks.2.norm1.weight": s["norm.weight"] * torch.nan},
        "blocks.2.norm1.weight holds values",
    ),
    "no width at all": (lambda s: {**s, STEM: torch.ones(0, 1, 4, 4, 2)}, "0 features"),
    "a number in place of a bias": (
        lambda s: {**s, "blocks.0.mlp.fc1.bias": torch.tensor(1.0)},
        "weights do not fit",
    ),
    "a weight without axes": (lambda s: {**s, STEM: torch.tensor(1.0)}, f"{STEM} is ()"),
    "complex numbers": (lambda s: {**s, "norm.bias": s["norm.bias"] * 1j}, "norm.bias holds"),
    "whole numbers": (lambda s: {**s, "norm.weight": torch.ones(128, dtype=torch.int8)}, "norm.weight holds"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_whole_or_not_understood_is_refused_in_one_line(
    tmp_path: Path, released: State, case: str
) -> None:
    change, words = REFUSED[case]
    file = write(tmp_path, {"model": change(released)})
    with pytest.raises(SimcropError) as refused:
        import_weights("released", file, tmp_path / "model")
    assert words in refused.value.sentence
    assert str(file) in refused.value.sentence
    assert "\n" not in refused.value.sentence
    assert not (tmp_path / "model").exists()


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.path),)


def test_a_pickle_with_code_is_refused_by_its_name_and_does_not_run(
    simcrop: Callable, released: State, tmp_path: Path
) -> None:
    file = write(tmp_path, {"model": released, "args": Trap(tmp_path / "sprung")})
    refusal = simcrop("weights", "import", "released", file, "--out", tmp_path / "model").refusal
    assert "mkdir, which was not run" in refusal
    assert not (tmp_path / "sprung").exists()
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_by_other_means_than_torchs_is_refused_in_one_line(
    simcrop: Callable, tmp_path: Path, protocol: int
) -> None:
    (tmp_path / "plain.pth").write_bytes(pickle.dumps({"model": Trap(tmp_path / "sprung")}, protocol))
    words = "weights", "import", "released", tmp_path / "plain.pth", "--out", tmp_path / "model"
    assert "is not a checkpoint of tensors alone" in simcrop(*words).refusal
    assert [path.name for path in tmp_path.iterdir()] == ["plain.pth"]


def test_a_pickled_network_is_refused_by_its_name(simcrop: Callable, tmp_path: Path) -> None:
    file = write(tmp_path, {"model": torch.nn.Linear(2, 2)})
    refusal = simcrop("weights", "import", "released", file, "--out", tmp_path / "model").refusal
    assert "it asks for torch.nn.modules.linear.Linear" in refusal


def test_an_imported_model_embeds_a_scan_and_says_why_it_cannot_ground(
    simcrop: Callable, released: State, tmp_path: Path
) -> None:
    file = write(tmp_path, {"model": released})
    assert simcrop("weights", "import", "released", file, "--out", tmp_path / "model").code == 0
    hu = np.random.default_rng(0).integers(-990, 990, (14, 15, 8)).astype(np.int16)
    nib.Nifti1Image(hu, np.diag([-1.5, -1.5, 3.0, 1.0])).to_filename(tmp_path / "ct.nii.gz")
    asked = tmp_path / "model", tmp_path / "ct.nii.gz"
    ran = simcrop("embed", *asked, "--out", tmp_path / "embedded")
    assert ran.code == 0, ran.err
    refusal = simcrop("ground", *asked, "--sentence", "A nodule.", "--out", tmp_path / "grounded").refusal
    assert "released weights, a file without a text side" in refusal
    assert not (tmp_path / "grounded").exists()
