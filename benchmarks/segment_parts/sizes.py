"""The networks that are timed, ours and MONAI's UNETR of the same size, and a scan for them.

Axes: x y z voxels, of the stored grid (RAS+) or of the scan's own; windows in [-1, 1].
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from simcrop.data.preprocess import to_unit, triple
from simcrop.data.resampling.plan import Spacing, Triple, resample
from simcrop.data.samples.batch import Batch, Sentences
from simcrop.data.samples.tokenizer import Tokens
from simcrop.data.volume import Volume
from simcrop.model.sliding_window import is_air
from simcrop.nn.patch import PatchGrid
from simcrop.objectives.segment import Segment, SegmentSettings, logits_of

LAYERS, FEATURE_SIZE, CUBE = 12, 16, 16  # MONAI's UNETR has no other depth and no other patch
WINDOW_HU = (-1000.0, 1000.0)
AS_SHIPPED = "recipe"  # 8 layers and patches of 16 x 16 x 8, which MONAI's cannot have


@dataclass(frozen=True)
class Size:
    """`phantom`: the size of the scan, and the spacing that it is brought to."""

    window: Triple
    dim: int
    heads: int
    phantom: str
    spacing_mm: Spacing


SIZES = {
    "paper": Size((96, 96, 48), 768, 12, "full", (1.5, 1.5, 3.0)),
    "tiny": Size((32, 32, 16), 48, 4, "tiny", (6.0, 6.0, 6.0)),
}


def our_network(size: Size, classes: int, upsample: str, like: str = "monai") -> Segment:
    """UNETR on our encoder, with random weights."""
    torch.manual_seed(0)
    shipped = like == AS_SHIPPED
    settings = SegmentSettings.model_validate(
        {
            "classes": [f"class {i + 1}" for i in range(classes)],
            "vision": {"depth": 8 if shipped else LAYERS, "dim": size.dim, "heads": size.heads},
            "decoder": {"feature_size": FEATURE_SIZE, "upsample": upsample},
        }
    )
    return Segment(settings, PatchGrid(size.window, (CUBE, CUBE, 8 if shipped else CUBE)))


def monai_network(size: Size, classes: int) -> torch.nn.Module:
    """MONAI's UNETR as its tutorials build it."""
    from monai.networks.nets.unetr import UNETR

    torch.manual_seed(0)
    return UNETR(
        in_channels=1,
        out_channels=1 + classes,
        img_size=size.window,
        feature_size=FEATURE_SIZE,
        hidden_size=size.dim,
        mlp_dim=4 * size.dim,
        num_heads=size.heads,
        norm_name="instance",
        res_block=True,
    )


def predictor(network: Segment) -> Callable[[Tensor], Tensor]:
    """From windows to logits."""
    network.eval()
    return lambda windows: logits_of(network.vision, network.decoder, windows, network.taps)


def training_batch(size: Size, classes: int, windows: int) -> Batch:
    """Noise, and labels in boxes of eight voxels."""
    draw = torch.Generator().manual_seed(0)
    volume = torch.rand(windows, 1, *size.window, generator=draw) * 2 - 1
    coarse = [n // 8 for n in size.window]
    boxes = torch.randint(0, classes + 1, (windows, 1, *coarse), generator=draw)
    mask = boxes.repeat_interleave(8, 2).repeat_interleave(8, 3).repeat_interleave(8, 4)
    ids, none = torch.zeros(windows, 0, dtype=torch.long), torch.zeros(0, dtype=torch.long)
    sentences = Sentences(none, none, torch.zeros(0), torch.zeros(0, 1))
    return Batch(tuple(map(str, range(windows))), volume, Tokens(ids, ids.bool(), ids), sentences, mask=mask)


@dataclass(frozen=True, eq=False)
class Scan:
    """`unit`, `air`: on the stored grid, whose affine is `affine`; `source_*`: the scan's own."""

    unit: Tensor
    air: np.ndarray
    affine: np.ndarray
    source_shape: Triple
    source_affine: np.ndarray


def scan_of(size: Size, path: Path | None, slices: int, spacing_mm: Spacing | None) -> Scan:
    """A phantom, or a file of one's own; with `slices`, mirrored along its last axis until it has so many."""
    volume = read(path) if path is not None else phantom(size.phantom)
    if slices:
        order = np.arange(slices) % (2 * volume.shape[2])
        order = np.minimum(order, 2 * volume.shape[2] - 1 - order)
        volume = Volume(volume.hu[:, :, order], volume.affine)
    stored = resample(volume, spacing_mm or size.spacing_mm)
    unit = torch.from_numpy(to_unit(stored.hu, WINDOW_HU))
    return Scan(unit, is_air(stored.hu), stored.affine, triple(volume.shape), volume.affine)


def read(path: Path) -> Volume:
    from simcrop.data.readers import read_volume

    return read_volume(path)


def phantom(size: str) -> Volume:
    from simcrop.phantom.patient import draw_patient

    patient = draw_patient(0, 1)
    x, y, z = patient.grid(size).spacing_mm
    hu: Any = patient.scans(size)[0][0]
    return Volume(hu.transpose(2, 1, 0).astype(np.float32), np.diag([-x, -y, z, 1.0]))
