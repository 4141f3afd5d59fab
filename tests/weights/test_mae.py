"""A 2D MAE ViT into the 3D encoder: every key accounted for, and the inflated patch embedding by hand."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from simcrop.errors import SimcropError
from simcrop.nn.patch import PatchGrid
from simcrop.nn.vit import VisionSettings, ViT
from simcrop.weights.mae import inflate, init_patch_embed_by_pca, load_mae

PATCH = (5, 7, 3)  # x, y, z: images of 7 rows and 5 columns
GRID = PatchGrid((10, 28, 9), PATCH)
State = dict[str, Tensor]


def encoder(**changes: object) -> ViT:
    torch.manual_seed(0)
    return ViT(VisionSettings(depth=2, dim=12, heads=3).model_copy(update=changes), GRID)


def mae_state(depth: int) -> State:
    """The names of an MAE pre-training checkpoint with 12 features and `depth` blocks."""
    torch.manual_seed(7)
    shapes = {"cls_token": (1, 1, 12), "pos_embed": (1, 50, 12), "mask_token": (1, 1, 8)}
    shapes |= {"patch_embed.proj.weight": (12, 3, 7, 5), "patch_embed.proj.bias": (12,)}
    shapes |= {
        "norm.weight": (12,),
        "norm.bias": (12,),
        "decoder_embed.weight": (8, 12),
        "decoder_embed.bias": (8,),
    }
    for block in [*(f"blocks.{i}" for i in range(depth)), "decoder_blocks.0"]:
        for part, out, into in (
            ("attn.qkv", 36, 12),
            ("attn.proj", 12, 12),
            ("mlp.fc1", 48, 12),
            ("mlp.fc2", 12, 48),
        ):
            shapes |= {f"{block}.{part}.weight": (out, into), f"{block}.{part}.bias": (out,)}
        shapes |= {
            f"{block}.{norm}.{kind}": (12,) for norm in ("norm1", "norm2") for kind in ("weight", "bias")
        }
    return {name: torch.randn(shape) for name, shape in shapes.items()}


def write(tmp_path: Path, state: State) -> Path:
    save_file(state, tmp_path / "mae.safetensors")
    return tmp_path / "mae.safetensors"


def test_every_key_is_loaded_or_named_as_skipped(tmp_path: Path) -> None:
    state, ours = mae_state(depth=2), encoder()
    done = load_mae(ours, write(tmp_path, state), "mean_inflate")
    assert set(done.loaded) == set(ours.state_dict())
    assert len(done.loaded) + len(done.skipped) == len(state)
    assert all(name.startswith(("pos_embed", "mask_token", "decoder_")) for name in done.skipped)
    for name, tensor in state.items():
        if name.startswith(("blocks.", "norm.")):
            assert torch.equal(ours.state_dict()[f"transformer.{name}"], tensor), name
    assert torch.equal(ours.cls_token, state["cls_token"][0, 0])  # type: ignore[arg-type]
    assert torch.equal(ours.position, encoder().position)


def test_blocks_deeper_than_ours_are_named_as_skipped(tmp_path: Path) -> None:
    done = load_mae(encoder(), write(tmp_path, mae_state(depth=12)), "mean_inflate")
    deep = {name.split(".")[1] for name in done.skipped if name.startswith("blocks.")}
    assert deep == {str(i) for i in range(2, 12)}
    assert sum(name.startswith("blocks.") for name in done.skipped) == 10 * 12


@pytest.mark.parametrize("patch_embed", ["mean_inflate", "skip"])
def test_a_class_token_that_ours_has_no_place_for_is_named_as_skipped(
    tmp_path: Path, patch_embed: str
) -> None:
    state, ours = mae_state(depth=2), encoder(cls_token=False)
    done = load_mae(ours, write(tmp_path, state), patch_embed)
    assert "cls_token" in done.skipped
    assert len(done.loaded) + len(done.skipped) == len(state)
    name = "blocks.1.attn.qkv.weight"
    assert torch.equal(ours.state_dict()[f"transformer.{name}"], state[name])


def test_patch_embedding_can_be_left_as_it_was(tmp_path: Path) -> None:
    ours, before = encoder(), encoder().patch_embed.weight.clone()
    done = load_mae(ours, write(tmp_path, mae_state(2)), "skip")
    assert torch.equal(ours.patch_embed.weight, before)
    assert {"patch_embed.proj.weight", "patch_embed.proj.bias"} <= set(done.skipped)


def test_inflated_embedding_of_a_constant_stack_is_that_of_the_grey_image() -> None:
    convolution = nn.Conv2d(3, 12, kernel_size=(7, 5), stride=(7, 5))
    slice_ = torch.randn(10, 28)  # x to the right, y to the front
    volume = slice_[None, None, :, :, None].expand(1, 1, 10, 28, 9)
    # As it is looked at: rows from front to back, columns from the patient's right to the left; equal colours.
    image = slice_.T.flip(0, 1)[None, None].expand(1, 3, 28, 10)
    ours = encoder()
    with torch.no_grad():
        ours.patch_embed.weight.copy_(inflate(convolution.weight, PATCH))
        ours.patch_embed.bias.copy_(convolution.bias)  # type: ignore[arg-type]
        expected = convolution(image)[0].flip(1, 2)  # d, y, x
        found = ours.patch_embed(GRID.split(volume))[0]
    for n in range(GRID.count):
        x, y, _ = GRID.index(n)
        torch.testing.assert_close(found[n], expected[:, y, x], atol=1e-5, rtol=1e-4)


def test_corner_of_an_image_is_the_front_on_the_patients_right() -> None:
    corner = torch.zeros(1, 3, 7, 5)
    corner[..., 0, 0] = 1
    ours = inflate(corner, PATCH).reshape(PATCH)
    assert ours.nonzero().tolist() == [
        [4, 6, z] for z in range(3)
    ]  # our axes count to the right, front, head


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: {k: v for k, v in s.items() if k != "blocks.1.attn.qkv.bias"}, "blocks.1.attn.qkv.bias"),
        (lambda s: {k: v for k, v in s.items() if not k.startswith("blocks.1.")}, "missing"),
        (lambda s: {**s, "odd.weight": torch.zeros(1)}, "odd.weight"),
        (lambda s: {**s, "norm.bias": torch.zeros(5)}, "norm.bias is (5,), expected (12,)"),
        (lambda s: {**s, "blocks.last.weight": torch.zeros(1)}, "blocks.last.weight"),
        (lambda s: {**s, "cls_token": torch.zeros(2, 12)}, "cls_token is (24,), expected (12,)"),
        (lambda s: {**s, "patch_embed.proj.weight": torch.zeros(12, 3, 16, 16)}, "(16, 16)"),
    ],
    ids=["missing", "too shallow", "extra", "wrong shape", "odd block", "odd token", "other patches"],
)  # fmt: skip
def test_file_that_does_not_fit_is_refused_by_name(
    tmp_path: Path, change: Callable[[State], State], message: str
) -> None:
    with pytest.raises(SimcropError) as refused:
        load_mae(encoder(), write(tmp_path, change(mae_state(2))), "mean_inflate")
    assert message in refused.value.sentence


def test_file_that_is_no_safetensors_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mae.safetensors").write_bytes(b"PK\x03\x04")
    for path in (tmp_path / "mae.safetensors", tmp_path / "nowhere.safetensors"):
        with pytest.raises(SimcropError, match="cannot read"):
            load_mae(encoder(), path, "mean_inflate")


def test_principal_components_whiten_the_patches() -> None:
    mixing = torch.randn(GRID.voxels, GRID.voxels, generator=torch.Generator().manual_seed(1))
    patches = torch.randn(900, GRID.voxels, generator=torch.Generator().manual_seed(2)) @ mixing + 5.0
    ours = encoder()
    init_patch_embed_by_pca(ours, patches)
    with torch.no_grad():
        embedded = ours.patch_embed(patches)
    torch.testing.assert_close(embedded.mean(0), torch.zeros(12), atol=1e-3, rtol=0)
    torch.testing.assert_close(embedded.T @ embedded / 900, torch.eye(12), atol=1e-3, rtol=0)
    variance = torch.linalg.svdvals(patches - patches.mean(0)).square()
    kept = 1 / ours.patch_embed.weight.detach().square().sum(1) * 900
    torch.testing.assert_close(kept, variance[:12], rtol=1e-3, atol=0)


def test_features_beyond_the_components_keep_their_random_start() -> None:
    ours, before = encoder(), encoder().patch_embed.weight.clone()
    init_patch_embed_by_pca(ours, torch.randn(5, GRID.voxels))
    assert torch.equal(ours.patch_embed.weight[5:], before[5:])
    assert not torch.equal(ours.patch_embed.weight[:5], before[:5])
    assert ours.patch_embed.weight.isfinite().all()
