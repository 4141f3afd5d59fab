"""A trained segmentation as a person uses it: a scan in, a label for each of its voxels out.

Axes: x y z voxels of the stored grid (RAS+), or of the scan as its file has them; b window, c class (0: none of them).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from simcrop.config import Recipe, build_recipe
from simcrop.data.preprocess import InputSpec, to_unit, triple
from simcrop.data.resampling.back import LabelsBack
from simcrop.data.resampling.plan import Triple, resample
from simcrop.data.volume import spacing_of
from simcrop.device import AUTO, choose_device
from simcrop.engine.checkpoint import STATE
from simcrop.engine.precision import settled
from simcrop.errors import SimcropError
from simcrop.metrics.segmentation import volumes_ml
from simcrop.model.folder import CONFIG, WEIGHTS, load_weights, model_folder, read_config
from simcrop.model.scans import Scan, volume_of
from simcrop.model.sliding_window import is_air, logit_slabs, tissue_box
from simcrop.objectives.segment import SegmentSettings, logits_of

OVERLAP = 0.5  # of windows, by their length
SAME_MM = 0.01  # share by which two spacings may differ and are one

Progress = Callable[[int, int], None]  # windows done, windows in all


@runtime_checkable
class Resampled(Protocol):
    """A scan that lies resampled in a cohort, and the grid that it had in its file."""

    @property
    def affine(self) -> np.ndarray: ...

    @property
    def source_shape(self) -> Triple: ...

    @property
    def source_affine(self) -> np.ndarray: ...

    def read(self) -> np.ndarray: ...


@dataclass(frozen=True, eq=False)
class Segmentation:
    """The mask of one scan. `labels`: int16 `(x, y, z)` on the scan's own grid, 0 where nothing is marked and `i + 1`
    for `names[i]`; `affine`: the scan's own, voxel index -> RAS+ mm; `volumes_ml`: of each class, 0 where it is absent.
    """

    labels: np.ndarray
    affine: np.ndarray
    names: tuple[str, ...]
    volumes_ml: dict[str, float]


class Segmenter(nn.Module):
    """Encoder and decoder with their preprocessing: a scan is resampled as those that it was trained on."""

    def __init__(self, recipe: Recipe, settings: SegmentSettings) -> None:
        super().__init__()
        self.recipe, self.names = recipe, settings.classes
        grid = recipe.input.grid
        self.taps = settings.tapped(grid)
        self.vision = settings.vision.build(grid)
        self.decoder = settings.build_decoder(grid)
        self.eval()

    def predict(self, scan: Scan, progress: Progress | None = None) -> Segmentation:
        """A path, or a scan as `read_volume` gives it. `progress` is told how many windows are done, and of how many.
        Raises SimcropError for what cannot be read.
        """
        volume = volume_of(scan)
        stored = resample(volume, self.spec.spacing_mm, self.spec.antialias)
        labels = self.marked(stored.hu, stored.affine, volume.shape, volume.affine, progress)
        return segmentation(labels, volume.affine, self.names)

    def labels_of(self, study: Resampled, progress: Progress | None = None) -> np.ndarray:
        """Labels int16 on the grid that a study of a cohort had in its file."""
        spacing = spacing_of(study.affine)
        if not np.allclose(spacing, self.spec.spacing_mm, rtol=SAME_MM):
            have, want = (" x ".join(f"{mm:.4g}" for mm in of) for of in (spacing, self.spec.spacing_mm))
            raise SimcropError(
                "other-preprocessing",
                f"the cohort's scans are {have} mm apart, the model sees {want} mm: ingest them with --spacing "
                f"{','.join(f'{mm:g}' for mm in self.spec.spacing_mm)}",
            )
        return self.marked(study.read(), study.affine, study.source_shape, study.source_affine, progress)

    def marked(
        self,
        hu: np.ndarray,
        affine: np.ndarray,
        source_shape: Triple,
        source_affine: np.ndarray,
        progress: Progress | None,
    ) -> np.ndarray:
        """Of HU on the stored grid; rows go back to the scan's own grid as soon as they are done. Around the box of all
        tissue is nothing to be marked, and no window.
        """
        air = is_air(hu)
        box = tissue_box(air)
        if box is None:
            return np.zeros(source_shape, np.int16)
        hu, air = hu[box], air[box]
        back = LabelsBack(
            source_shape, source_affine, triple(hu.shape), moved(affine, [s.start for s in box])
        )
        slabs = logit_slabs(
            torch.from_numpy(to_unit(hu, self.spec.window_hu)),
            air,
            self.spec.shape,
            self.logits,
            1 + len(self.names),
            overlap=OVERLAP,
            device=self.device,
            progress=progress,
        )
        for slab in slabs:
            back.take(slab.logits.softmax(0).numpy())
        return back.labels

    def logits(self, windows: Float[Tensor, "b 1 x y z"]) -> Float[Tensor, "b c x y z"]:
        """The network itself, in bf16 on a card that has it."""
        half = self.device.type == "cuda" and settled("auto", self.device) == "bf16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=half):
            return logits_of(self.vision, self.decoder, windows, self.taps).float()

    @property
    def spec(self) -> InputSpec:
        return self.recipe.input.spec

    @property
    def device(self) -> torch.device:
        return self.vision.device


def moved(affine: np.ndarray, start: Sequence[int]) -> np.ndarray:
    """Of a part of a grid that begins at the voxel `start` of it."""
    shift = np.eye(4)
    shift[:3, 3] = start
    return affine @ shift


def segmentation(labels: np.ndarray, affine: np.ndarray, names: tuple[str, ...]) -> Segmentation:
    """Labels with their volumes."""
    ml = volumes_ml(labels, spacing_of(affine), range(1, len(names) + 1))
    return Segmentation(labels, affine, names, dict(zip(names, ml, strict=True)))


def load_segmenter(path: str | Path, device: str | torch.device = AUTO) -> Segmenter:
    """From a model or run folder of `simcrop segment`; on the first CUDA device where there is one, unless another
    `device` is asked for.
    """
    where = choose_device(device)
    folder = model_folder(Path(path))
    recipe = build_recipe(read_config(folder)["architecture"], str(folder / CONFIG))
    if not isinstance(recipe, SegmentSettings):
        raise SimcropError(
            "no-segmentation",
            f"{path} is a {recipe.method} model, which marks no organs: `simcrop segment` trains one that does, which "
            f"may start from it by --set init.model={path}",
        )
    segmenter = Segmenter(recipe, recipe)
    load_weights(segmenter, recipe, folder / WEIGHTS, everything_trained=(folder / STATE).is_file())
    return segmenter.to(where)
