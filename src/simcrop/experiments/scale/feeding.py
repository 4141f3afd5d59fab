"""What a GPU eats: bytes from disk and cores that read, by codec. No axes; GB of 10^9 bytes."""

from dataclasses import dataclass
from math import prod

from simcrop.experiments.scale.request import PlanRequest
from simcrop.experiments.speeds import speeds


@dataclass(frozen=True)
class Feeding:
    """What one GPU eats, with a codec: GB/s from disk, and cores that read."""

    codec: str
    gb_per_s: float
    cores: float


def feeding_of(asked: PlanRequest, volumes_per_s: float) -> tuple[Feeding, ...]:
    """With each codec, at so many volumes a second on one GPU."""
    return tuple(
        Feeding(name, volumes_per_s * of.mb * finer(asked) / 1e3, volumes_per_s * of.milliseconds / 1e3)
        for name, of in speeds().codecs.by_name.items()
    )


def finer(asked: PlanRequest) -> float:
    """Stored voxels over those at the spacing that was measured."""
    stored = [mm / asked.recipe.fine_scale for mm in asked.recipe.input.spacing_mm]
    return prod(speeds().codecs.spacing_mm) / prod(stored)


def voxels_of(asked: PlanRequest) -> int:
    """Of a sample, on its way to the card: the input, and where the method wants one the same crop finer."""
    scale = asked.recipe.fine_scale
    return prod(asked.recipe.input.shape) * (1 if scale == 1 else 1 + scale**3)
