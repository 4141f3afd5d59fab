"""One patient of the phantom cohort: anatomy, findings, report and how the scanner looked at it.

Everything about a patient follows from `(seed, number)` alone, so that a larger cohort holds the same patients.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from simcrop.errors import SimcropError
from simcrop.phantom.anatomy.body import Anatomy
from simcrop.phantom.anatomy.draw import draw_anatomy, draw_pose
from simcrop.phantom.findings.finding import LABELS, Finding
from simcrop.phantom.findings.kinds import draw_findings, draw_kinds, in_drawing_order
from simcrop.phantom.grid import Difficulty, Grid, Pose
from simcrop.phantom.noise import Kernel, add_noise
from simcrop.phantom.render import render

PADDING_HU = -2048
HEART_CM2 = 450.0  # surface of the middle of a sac of fluid around a healthy heart
EASY_NOISE = 0.6


@dataclass(frozen=True)
class Patient:
    """`number` counts from 1 within the cohort; `name` is unique within `split`, as in CT-RATE."""

    number: int
    seed: int
    difficulty: Difficulty
    anatomy: Anatomy
    findings: tuple[Finding, ...]
    pose: Pose
    kernel: Kernel  # of the first reconstruction; a second one has the other
    noise_level: float
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
        other: Kernel = "sharp" if self.kernel == "soft" else "soft"
        scans = []
        for reconstruction, kernel in zip(range(len(self.volumes)), (self.kernel, other), strict=False):
            rng = generator(self.seed, self.number, 3 + reconstruction)
            hu = add_noise(picture.hu, grid, rng, kernel, self.noise_level)
            if self.padded:
                np.copyto(hu, PADDING_HU, where=outside_circle(grid))
            scans.append(hu)
        return scans, picture.mask


def generator(seed: int, number: int, purpose: int) -> np.random.Generator:
    """Its own stream for each purpose: 0 the findings' kinds, 1 anatomy and lesions, 2 words, 3 and up noise."""
    return np.random.default_rng(np.random.SeedSequence((seed, number)).spawn(purpose + 1)[purpose])


def draw_patient(
    seed: int, number: int, difficulty: Difficulty = "real", kinds: Sequence[str] | None = None
) -> Patient:
    """Patient `number` of the cohort `seed`. `kinds` asks for these findings instead of drawing some."""
    wanted = draw_kinds(generator(seed, number, 0), difficulty) if kinds is None else known(kinds)
    rng = generator(seed, number, 1)
    heart_scale, fluid_mm = draw_heart_disease(rng, wanted, difficulty)
    anatomy = draw_anatomy(rng, heart_scale, fluid_mm, difficulty)
    easy = difficulty == "easy"
    return Patient(
        number=number,
        seed=seed,
        difficulty=difficulty,
        anatomy=anatomy,
        findings=draw_findings(rng, anatomy, wanted, difficulty),
        pose=draw_pose(rng, difficulty),
        kernel="soft" if easy or rng.random() < 0.5 else "sharp",
        noise_level=EASY_NOISE if easy else float(rng.uniform(0.7, 1.4)),
        intercept=-8192 if rng.random() < 0.3 else -1024,
        padded=number % 7 == 2,
    )


def known(kinds: Sequence[str]) -> list[str]:
    for kind in kinds:
        if kind not in LABELS:
            raise SimcropError(
                "bad-setting",
                f"unknown finding {kind!r}: expected one of CT-RATE's 18 labels, {', '.join(LABELS)}",
            )
    return in_drawing_order(list(kinds))


def draw_heart_disease(
    rng: np.random.Generator, kinds: Sequence[str], difficulty: Difficulty
) -> tuple[float, float]:
    """How much wider than in health the heart is, and how many mm of fluid surround it."""
    enlarged = rng.uniform(1.11, 1.2) if difficulty == "easy" else rng.uniform(1.17, 1.4)
    scale = float(enlarged) if "Cardiomegaly" in kinds else 1.0
    ml = float(rng.uniform(110, 360))
    surface_cm2 = HEART_CM2 * scale**1.7
    return scale, 10 * ml / surface_cm2 if "Pericardial effusion" in kinds else 0.0


def outside_circle(grid: Grid) -> np.ndarray:
    """Bool `(y, x)`: voxels beyond the round field that a scanner reconstructs."""
    x = (np.arange(grid.shape[0]) - (grid.shape[0] - 1) / 2) * grid.spacing_mm[0]
    y = (np.arange(grid.shape[1]) - (grid.shape[1] - 1) / 2) * grid.spacing_mm[1]
    return np.hypot(y[:, None], x[None, :]) > min(x[-1], y[-1]) + grid.edge_mm
