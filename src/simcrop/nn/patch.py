"""The patch grid: a volume cut into equal boxes, and put together again.

Axes: b batch, n patch (gx slowest, gz fastest), p voxel within a patch, x y z voxels (right, front, up).
"""

from dataclasses import dataclass
from math import prod

from einops import rearrange
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from simcrop.errors import SimcropError

Triple = tuple[int, int, int]


@dataclass(frozen=True)
class PatchGrid:
    """Geometry of the tokens. `volume` and `patch` in voxels `(x, y, z)`; sizes need not be equal or cubic."""

    volume: Triple
    patch: Triple

    def __post_init__(self) -> None:
        if any(v <= 0 or p <= 0 or v % p for v, p in zip(self.volume, self.patch, strict=True)):
            raise SimcropError(
                "bad-setting", f"a volume of {self.volume} voxels cannot be cut into patches of {self.patch}"
            )

    @property
    def shape(self) -> Triple:
        """Patches along x, y and z."""
        x, y, z = (v // p for v, p in zip(self.volume, self.patch, strict=True))
        return x, y, z

    @property
    def count(self) -> int:
        return prod(self.shape)

    @property
    def voxels(self) -> int:
        """Voxels in one patch."""
        return prod(self.patch)

    def finer(self, scale: int) -> "PatchGrid":
        """The same patches, in so many times as many voxels along each axis."""
        (vx, vy, vz), (px, py, pz) = self.volume, self.patch
        return PatchGrid((vx * scale, vy * scale, vz * scale), (px * scale, py * scale, pz * scale))

    def index(self, n: int) -> Triple:
        """Grid coordinates of patch number `n`."""
        _, gy, gz = self.shape
        return n // (gy * gz), n // gz % gy, n % gz

    def split(self, volume: Shaped[Tensor, "b 1 x y z"]) -> Shaped[Tensor, "b n p"]:
        """Volume, or its labels, to patches. `join` is its inverse."""
        (gx, gy, gz), (px, py, pz) = self.shape, self.patch
        return rearrange(
            volume,
            "b 1 (gx px) (gy py) (gz pz) -> b (gx gy gz) (px py pz)",
            gx=gx, gy=gy, gz=gz, px=px, py=py, pz=pz,
        )  # fmt: skip

    def join(self, patches: Float[Tensor, "b n p"]) -> Float[Tensor, "b 1 x y z"]:
        """Patches to volume. `split` is its inverse."""
        (gx, gy, gz), (px, py, pz) = self.shape, self.patch
        return rearrange(
            patches,
            "b (gx gy gz) (px py pz) -> b 1 (gx px) (gy py) (gz pz)",
            gx=gx, gy=gy, gz=gz, px=px, py=py, pz=pz,
        )  # fmt: skip


def in_body(patches: Float[Tensor, "b n p"], air: float = -0.9) -> Bool[Tensor, "b n"]:
    """Patches that hold more than air: their mean lies above `air`, on the [-1, 1] scale of the input."""
    return patches.mean(-1) > air
