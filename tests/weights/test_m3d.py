"""M3D-CLIP's official encoder becomes a model: the network by hand, every key accounted for, wrong files refused.

Axes: D H W of the authors' arrays (down, back, left), x y z of ours (right, front, up), n token, d features.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from nibabel.affines import apply_affine
from torch import Tensor

from simcrop.data.preprocess import preprocess
from simcrop.data.store.cohort import open_cohort
from simcrop.errors import SimcropError
from simcrop.model import load
from simcrop.nn.patch import PatchGrid
from simcrop.tasks.weights import import_weights
from simcrop.weights import m3d

State = dict[str, Tensor]
SMALL = m3d.Published(2, 24, 4, PatchGrid((16, 12, 6), (4, 6, 2)))  # no two lengths alike
PATCH, GRID = (2, 6, 4), (3, 2, 4)  # D H W
STEM = "patch_embedding.patch_embeddings.1.weight"
POSITION = "patch_embedding.position_embeddings"


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(m3d, "PUBLISHED", SMALL)


def encoder(depth: int = 2, width: int = 24) -> State:
    """By the published names and ranks."""
    torch.manual_seed(2)
    shapes = {"cls_token": (1, 1, width), POSITION: (1, 24, width), STEM: (width, 48)}
    shapes |= {
        "patch_embedding.patch_embeddings.1.bias": (width,),
        "norm.weight": (width,),
        "norm.bias": (width,),
    }
    for n in range(depth):
        shapes |= {
            f"blocks.{n}.attn.qkv.weight": (3 * width, width),
            f"blocks.{n}.attn.out_proj.weight": (width, width),
            f"blocks.{n}.attn.out_proj.bias": (width,),
            f"blocks.{n}.mlp.linear1.weight": (4 * width, width),
            f"blocks.{n}.mlp.linear1.bias": (4 * width,),
            f"blocks.{n}.mlp.linear2.weight": (width, 4 * width),
            f"blocks.{n}.mlp.linear2.bias": (width,),
        }
        shapes |= {
            f"blocks.{n}.{norm}.{kind}": (width,)
            for norm in ("norm1", "norm2")
            for kind in ("weight", "bias")
        }
    return {name: torch.randn(shape) * 0.2 for name, shape in shapes.items()}


def whole() -> State:
    """The encoder beside its text side, as the whole model's file holds them."""
    beside = {
        "language_encoder.embeddings.word_embeddings.weight": torch.ones(5, 4),
        "mm_vision_proj.weight": torch.ones(4, 4),
        "mm_language_proj.weight": torch.ones(4, 4),
        "logit_scale": torch.tensor(2.0),
    }
    later = {f"vision_encoder.blocks.{n}.norm_cross_attn.weight": torch.ones(24) for n in range(2)}
    return {f"vision_encoder.{name}": tensor for name, tensor in encoder().items()} | beside | later


def write(folder: Path, state: State) -> Path:
    torch.save(state, folder / "m3d.bin")
    return folder / "m3d.bin"


def slow_tokens(state: State, image: Tensor, heads: int = 4) -> Tensor:
    """`(1 + n, d)` of an array `(D, H, W)` in [0, 1]: class token first, then patches with W fastest."""
    tokens = []
    for d, h, w in np.ndindex(GRID):
        box = (slice(i * p, (i + 1) * p) for i, p in zip((d, h, w), PATCH, strict=True))
        tokens.append(state[STEM] @ image[tuple(box)].flatten())
    x = torch.stack(tokens) + state["patch_embedding.patch_embeddings.1.bias"] + state[POSITION][0]
    x = torch.cat([state["cls_token"][0], x])
    for n in range(2):
        part = {name.removeprefix(f"blocks.{n}."): tensor for name, tensor in state.items()}
        every = (normed(x, part, "norm1") @ part["attn.qkv.weight"].T).unflatten(1, (3, heads, -1))
        out = []
        for head in range(heads):
            q, k, v = every[:, :, head].unbind(1)
            out.append((q @ k.T / q.shape[1] ** 0.5).softmax(-1) @ v)
        x = x + torch.cat(out, 1) @ part["attn.out_proj.weight"].T + part["attn.out_proj.bias"]
        hidden = normed(x, part, "norm2") @ part["mlp.linear1.weight"].T + part["mlp.linear1.bias"]
        hidden = hidden * 0.5 * (1 + torch.erf(hidden / 2**0.5))
        x = x + hidden @ part["mlp.linear2.weight"].T + part["mlp.linear2.bias"]
    return normed(x, state, "norm")


def normed(x: Tensor, state: State, name: str) -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    scaled = centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()
    return scaled * state[f"{name}.weight"] + state[f"{name}.bias"]


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("m3d")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(m3d, "PUBLISHED", SMALL)
        import_weights("m3d", write(home, whole()), home / "model")
    return home / "model"


def test_every_patch_has_the_token_of_their_network_at_its_place(model_folder: Path) -> None:
    model = load(model_folder, "cpu")
    volume = torch.rand(16, 12, 6) * 2 - 1
    theirs = slow_tokens(encoder(), ((volume + 1) / 2).permute(2, 1, 0).flip(0, 1, 2))
    ours = model.vision.tokens(volume[None, None])
    assert ours.cls is not None
    torch.testing.assert_close(ours.cls[0], theirs[0], atol=1e-5, rtol=0)
    expected = theirs[1:].reshape(*GRID, 24)
    for n, token in enumerate(ours.patches[0]):
        x, y, z = model.grid.index(n)
        torch.testing.assert_close(token, expected[2 - z, 1 - y, 3 - x], atol=1e-5, rtol=0)
    assert theirs.std() > 0.1


def test_norms_are_as_theirs_where_hardly_anything_varies(model_folder: Path) -> None:
    norms = [m for m in load(model_folder, "cpu").modules() if isinstance(m, torch.nn.LayerNorm)]
    assert {norm.eps for norm in norms} == {1e-5}
    assert len(norms) == 5


def test_the_whole_model_and_the_encoder_alone_give_one_encoder(tmp_path: Path) -> None:
    both = m3d.read_m3d(write(tmp_path, whole()))
    alone = m3d.read_m3d(write(tmp_path, {f"module.{name}": t.half() for name, t in encoder().items()}))
    close = {name: t.half() for name, t in both.encoder.state_dict().items()}
    for name, tensor in alone.encoder.state_dict().items():
        torch.testing.assert_close(tensor.half(), close[name], atol=2e-3, rtol=2e-3)
    assert alone.skipped == []


def test_every_key_is_loaded_or_named_as_left_aside(model_folder: Path) -> None:
    metrics = json.loads((model_folder / "metrics.json").read_text())
    assert set(metrics["renamed"]) | set(metrics["skipped"]) == set(whole())
    assert {name.removeprefix("vision_encoder.") for name in metrics["renamed"]} == set(encoder())
    state = load(model_folder, "cpu").vision.state_dict()
    assert set(metrics["renamed"].values()) == {name for name in state if not name.endswith("qkv.bias")}
    assert metrics["skipped"][0] == "language_encoder.embeddings.word_embeddings.weight"
    provenance = json.loads((model_folder / "config.json").read_text())["provenance"]
    assert provenance["skipped"]["logit_scale"] == 1
    assert any("head down is inferred" in note for note in provenance["notes"])


def test_published_sizes_are_those_of_its_code() -> None:
    published = m3d.Published()
    assert published.shapes[POSITION] == (1, 2048, 768)
    assert published.shapes[STEM] == (768, 1024)
    assert published.grid.shape == (16, 16, 8)
    assert len(published.shapes) == 6 + 12 * 11


def without(state: State, start: str) -> State:
    return {name: tensor for name, tensor in state.items() if not name.startswith(start)}


REFUSED: dict[str, tuple[Callable[[State], State], str]] = {
    "another network": (lambda _: {"weight": torch.ones(3)}, "no encoder with M3D-CLIP's names"),
    "timm's names": (
        lambda _: {"patch_embed.proj.weight": torch.ones(3)},
        "no encoder with M3D-CLIP's names",
    ),
    "a block lost": (lambda s: without(s, "blocks.1."), "11 of the encoder's 28 tensors are missing"),
    "positions lost": (lambda s: without(s, POSITION), "not whole"),
    "a block more": (
        lambda s: {**s, "blocks.2.norm1.weight": torch.ones(24)},
        "not understood: blocks.2.norm1",
    ),
    "biases of qkv": (lambda s: {**s, "blocks.0.attn.qkv.bias": torch.ones(72)}, "blocks.0.attn.qkv.bias"),
    "another grid": (lambda s: {**s, POSITION: torch.ones(1, 8, 24)}, "(1, 8, 24), published as (1, 24, 24)"),
    "patches of 3D kernels": (
        lambda s: {**s, STEM: torch.ones(24, 1, 2, 6, 4)},
        "(24, 1, 2, 6, 4), published",
    ),
    "no numbers": (lambda s: {**s, STEM: torch.full((24, 48), torch.nan)}, "no finite numbers"),
    "two encoders": (lambda s: s | {f"ema.{n}": t for n, t in s.items()}, "more than one encoder"),
    "names twice": (lambda s: {**s, f"_orig_mod.{STEM}": s[STEM]}, "under two names"),
}


@pytest.mark.parametrize("flaw", REFUSED)
def test_a_wrong_file_is_refused_and_nothing_is_written(tmp_path: Path, flaw: str) -> None:
    change, why = REFUSED[flaw]
    file = write(tmp_path, change(encoder()))
    with pytest.raises(SimcropError) as refused:
        import_weights("m3d", file, tmp_path / "model")
    assert refused.value.reason == "weights-mismatch"
    assert why in refused.value.sentence
    assert "\n" not in refused.value.sentence
    assert [path.name for path in tmp_path.iterdir()] == ["m3d.bin"]


@pytest.fixture(scope="module")
def halves(toy_cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six patients, of whom three are held out, with one label that both halves know both ways."""
    folder = tmp_path_factory.mktemp("halves") / "cohort"
    shutil.copytree(toy_cohort, folder, ignore=shutil.ignore_patterns("features", "sentences"))
    number = pl.col("patient").rank("dense") - 1
    pl.read_parquet(folder / "studies.parquet").with_columns(
        pl.when(number % 2 == 0).then(pl.lit("train")).otherwise(pl.lit("valid")).alias("split"),
        (number % 4 < 2).cast(pl.Int8).alias("label:Cardiomegaly"),
    ).write_parquet(folder / "studies.parquet")
    return folder


def test_a_cohort_is_embedded_from_what_it_stores(
    simcrop: Callable, halves: Path, model_folder: Path, tmp_path: Path
) -> None:
    assert simcrop("embed", model_folder, halves, "--out", tmp_path / "out").code == 0
    vectors = pl.read_parquet(tmp_path / "out/embeddings.parquet")["embedding"].to_numpy()
    image, _ = preprocess(open_cohort(halves)[0].volume(), load(model_folder, "cpu").spec)
    theirs = slow_tokens(encoder(), ((image[0] + 1) / 2).permute(2, 1, 0).flip(0, 1, 2))
    np.testing.assert_allclose(vectors[0], theirs[1:].mean(0).numpy(), atol=1e-5)
    assert len(np.unique(vectors.round(4), axis=0)) == len(vectors)


def test_its_tokens_lie_all_over_the_scan(
    simcrop: Callable, model_folder: Path, scan: Callable, save: Callable, tmp_path: Path
) -> None:
    file = save(tmp_path / "ct.nii.gz", scan(0))
    words = "embed", model_folder, file, "--tokens", "--format", "npz", "--out", tmp_path / "out"
    assert simcrop(*words).code == 0
    with np.load(tmp_path / "out/ct.npz") as stored:
        found = dict(stored)
    affine, lengths = np.diag([-2.0, -2.5, 4.0, 1.0]), scan(0).shape
    ends = np.sort(apply_affine(affine, [np.full(3, -0.5), np.array(lengths) - 0.5]), axis=0)
    half = (ends[1] - ends[0]) / (2 * np.array(GRID[::-1]))
    np.testing.assert_allclose(found["coords"].min(0), ends[0] + half, atol=1e-3)
    np.testing.assert_allclose(found["coords"].max(0), ends[1] - half, atol=1e-3)
    assert found["inside"].all()


def test_it_is_probed_and_neither_further_views_nor_sentences_are_had(
    simcrop: Callable, halves: Path, model_folder: Path, scan: Callable, save: Callable, tmp_path: Path
) -> None:
    ran = simcrop("probe", model_folder, halves, "--no-baselines", "--out", tmp_path / "probed")
    assert ran.code == 0, ran.err
    assert ran.out.startswith("macro AUROC")
    words = "probe", model_folder, halves, "--views", "2", "--out", tmp_path / "viewed"
    assert "whole scans" in simcrop(*words).refusal
    file = save(tmp_path / "ct.nii.gz", scan(0))
    words = "ground", model_folder, file, "--sentence", "A nodule.", "--out", tmp_path / "grounded"
    assert "official weights, imported without their text side" in simcrop(*words).refusal
    assert {path.name for path in tmp_path.iterdir()} == {"probed", "ct.nii.gz"}


def test_training_on_whole_scans_is_refused(simcrop: Callable, toy_cohort: Path, tmp_path: Path) -> None:
    words = "--recipe", "mae-tiny", "--set", "input.fit=resize", "--out", tmp_path / "run"
    assert "leaves nothing to draw" in simcrop("pretrain", toy_cohort, *words).refusal
    assert not (tmp_path / "run").exists()
