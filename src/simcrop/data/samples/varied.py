"""How a window of a scan and its mask is varied at random, so that no two draws are alike.

Axes: x y z voxels (RAS+); int16 HU in, int16 HU out.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int
from torch.nn.functional import interpolate

from simcrop.data.preprocess import Triple, triple


@dataclass(frozen=True)
class Change:
    """Of one window. `mirrored`: axes that run the other way; `zoom`: 1.2 shows things a fifth larger; `contrast` and
    `shift` on the [-1, 1] scale of the network's input.
    """

    mirrored: tuple[int, ...] = ()
    zoom: float = 1.0
    contrast: float = 1.0
    shift: float = 0.0

    def seen(self, shape: Triple) -> Triple:
        """Voxels of the scan that become a window of `shape`."""
        return triple([max(1, round(edge / self.zoom)) for edge in shape])

    def of_scan(
        self, hu: Int[np.ndarray, "i j k"], shape: Triple, window_hu: tuple[float, float]
    ) -> Int[np.ndarray, "x y z"]:
        """Clipped to the window, as the network sees it, before anything is added."""
        hu = np.flip(resized(hu, shape, "trilinear"), self.mirrored)
        if self.contrast == 1 and self.shift == 0:
            return hu
        low, high = window_hu
        middle, half = (low + high) / 2, (high - low) / 2
        distance = hu.clip(low, high).astype(np.float32) - middle
        return (
            np.rint(distance * self.contrast + middle + self.shift * half)
            .clip(-32768, 32767)
            .astype(np.int16)
        )

    def of_mask(self, mask: Int[np.ndarray, "i j k"], shape: Triple) -> Int[np.ndarray, "x y z"]:
        return np.flip(resized(mask, shape, "nearest-exact"), self.mirrored)


@dataclass(frozen=True)
class Variation:
    """`flips`: how often along x, y and z; `zoom`: how often, and `zooms` between what and what; `contrast` and
    `shift`: how often each, by up to `contrast_by` and `shift_by` either way.
    """

    flips: tuple[float, float, float] = (0.0, 0.0, 0.0)
    zoom: float = 0.0
    zooms: tuple[float, float] = (1.0, 1.0)
    contrast: float = 0.0
    contrast_by: float = 0.0
    shift: float = 0.0
    shift_by: float = 0.0

    def drawn(self, random: np.random.Generator) -> Change:
        """As many numbers are drawn whatever is set, so that what is set of one thing changes nothing of another."""
        *flips, zoom, contrast, shift = random.random(6) < (*self.flips, self.zoom, self.contrast, self.shift)
        zoomed, contrasted, shifted = random.random(3)
        low, high = self.zooms
        return Change(
            tuple(axis for axis, flip in enumerate(flips) if flip),
            low + (high - low) * float(zoomed) if zoom else 1.0,
            1 + (2 * float(contrasted) - 1) * self.contrast_by if contrast else 1.0,
            (2 * float(shifted) - 1) * self.shift_by if shift else 0.0,
        )


def resized(voxels: Int[np.ndarray, "i j k"], shape: Triple, mode: str) -> Int[np.ndarray, "x y z"]:
    """The same box on another number of voxels."""
    if voxels.shape == shape:
        return voxels
    box = torch.from_numpy(np.ascontiguousarray(voxels)).float()[None, None]
    return interpolate(box, shape, mode=mode)[0, 0].round().short().numpy()
