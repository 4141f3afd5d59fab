"""One patient of the phantom cohort: anatomy, findings, report and how the scanner looked at it.

Everything about a patient follows from `(seed, number)` alone, so that a larger cohort holds the same patients.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from simcrop.data.phantom.anatomy import LOBES, Anatomy, Lobe, Side
from simcrop.data.phantom.draw import draw_anatomy
from simcrop.data.phantom.findings import Finding
from simcrop.data.phantom.grid import Grid, Pose
from simcrop.data.phantom.kinds import DRAWS, draw_finding, in_painting_order
from simcrop.data.phantom.render import render

NORMAL_SHARE = 0.2
RARE = (
    "Hiatal hernia",
    "Lymphadenopathy",
    "Arterial wall calcification",
    "Coronary artery wall calcification",
    "Medical material",
)
IN_A_LOBE = ("Lung opacity", "Consolidation", "Atelectasis", "Lung nodule")
PADDING_HU = -2048
FINEST_VOXEL_MM3, NOISE_HU = 0.54, 38.0


@dataclass(frozen=True)
class Patient:
    """`number` counts from 1 within the cohort; `name` is unique within `split`, as in CT-RATE."""

    number: int
    seed: int
    anatomy: Anatomy
    findings: tuple[Finding, ...]
    pose: Pose
    intercept: int  # of the scanner: HU = stored + intercept
    padded: bool  # outside the scanner's circle there is padding instead of air

    @property
    def split(self) -> Literal["train", "valid"]:
        """One in ten is held out: numbers 3, 13, 23 and so on."""
        return "valid" if self.number % 10 == 3 else "train"

    @property
    def name(self) -> str:
        held_out = (self.number + 7) // 10
        return f"valid_{held_out}" if self.split == "valid" else f"train_{self.number - held_out}"

    @property
    def volumes(self) -> tuple[str, ...]:
        """Names of the reconstructions of the one scan; one patient in eight has two."""
        return tuple(f"{self.name}_a_{n}" for n in ((1, 2) if self.number % 8 == 4 else (1,)))

    def grid(self, size: str) -> Grid:
        return Grid.of_size(size, (0.0, 0.0, round(self.pose.shift_mm[2], 1)))

    def words(self) -> np.random.Generator:
        """Randomness for the wording of the report."""
        return generator(self.seed, self.number, 2)

    def scans(self, size: str) -> tuple[list[np.ndarray], np.ndarray]:
        """One int16 HU array per reconstruction and the uint8 mask of the findings they share, all `(z, y, x)`."""
        grid = self.grid(size)
        picture = render(self.anatomy, self.findings, self.pose, grid)
        scans = []
        for reconstruction in range(len(self.volumes)):
            hu = add_noise(picture.hu, grid, generator(self.seed, self.number, 3 + reconstruction))
            if self.padded:
                hu[:, outside_circle(grid)] = PADDING_HU
            scans.append(hu)
        return scans, picture.mask


def generator(seed: int, number: int, purpose: int) -> np.random.Generator:
    """Its own stream for each purpose: 0 the findings' kinds, 1 anatomy and lesions, 2 words, 3 and up noise."""
    return np.random.default_rng(np.random.SeedSequence((seed, number)).spawn(purpose + 1)[purpose])


def draw_patient(seed: int, number: int) -> Patient:
    kinds = draw_kinds(generator(seed, number, 0))
    rng = generator(seed, number, 1)
    heart_scale = float(rng.uniform(1.22, 1.36)) if "Cardiomegaly" in kinds else 1.0
    fluid_mm = float(rng.uniform(9, 18)) if "Pericardial effusion" in kinds else 0.0
    anatomy = draw_anatomy(rng, heart_scale, fluid_mm)
    shift = (float(rng.normal(0, 4)), float(rng.normal(0, 5)), float(rng.uniform(-1200, -100)))
    return Patient(
        number=number,
        seed=seed,
        anatomy=anatomy,
        findings=draw_findings(rng, anatomy, kinds),
        pose=Pose(float(np.deg2rad(rng.normal(0, 2.5))), shift),
        intercept=-8192 if rng.random() < 0.3 else -1024,
        padded=number % 7 == 2,
    )


def draw_kinds(rng: np.random.Generator) -> list[str]:
    """No finding in one patient of five, otherwise one to four different ones."""
    if rng.random() < NORMAL_SHARE:
        return []
    weights = np.array([0.3 if kind in RARE else 1.0 for kind in DRAWS])
    count = int(rng.integers(1, 5))
    return in_painting_order(
        rng.choice(list(DRAWS), count, replace=False, p=weights / weights.sum()).tolist()
    )


def draw_findings(rng: np.random.Generator, anatomy: Anatomy, kinds: list[str]) -> tuple[Finding, ...]:
    """Each finding in a lobe of its own; a lower lobe under fluid takes no other finding."""
    free: list[tuple[Side, Lobe]] = [LOBES[i] for i in rng.permutation(len(LOBES))]
    regions: dict[str, tuple[Side, Lobe]] = dict.fromkeys(kinds, free[0])
    if "Pleural effusion" in kinds:
        fluid = next(region for region in free if region[1] == "lower")
        free.remove(fluid)
        regions["Pleural effusion"] = fluid
    for kind in kinds:
        if kind in IN_A_LOBE:
            regions[kind] = free.pop()
    return tuple(draw_finding(rng, anatomy, kind, regions[kind], i) for i, kind in enumerate(kinds, 1))


def add_noise(hu: np.ndarray, grid: Grid, rng: np.random.Generator) -> np.ndarray:
    """White noise, stronger in smaller voxels, as int16 in the range of a CT scanner."""
    sigma = max(NOISE_HU * (FINEST_VOXEL_MM3 / float(np.prod(grid.spacing_mm))) ** 0.5, 4.0)
    noisy = np.empty(hu.shape, np.int16)
    for slab in grid.slabs():
        noise = rng.standard_normal(hu[slab].shape, dtype=np.float32)
        noisy[slab] = np.rint(hu[slab] + noise * np.float32(sigma)).clip(-1024, 3071)
    return noisy


def outside_circle(grid: Grid) -> np.ndarray:
    """Bool `(y, x)`: voxels beyond the round field that a scanner reconstructs."""
    x = (np.arange(grid.shape[0]) - (grid.shape[0] - 1) / 2) * grid.spacing_mm[0]
    y = (np.arange(grid.shape[1]) - (grid.shape[1] - 1) / 2) * grid.spacing_mm[1]
    return np.hypot(y[:, None], x[None, :]) > min(x[-1], y[-1]) + grid.edge_mm
