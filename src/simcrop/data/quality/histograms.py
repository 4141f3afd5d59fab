"""The histogram of a scan: where air, lung, fat and soft tissue peak, and whether that is how a chest CT looks.

Axes: s scans, b bins of 10 HU from -1100 to 1600. Shares are of all voxels of a scan, in [0, 1].
"""

from dataclasses import dataclass

import numpy as np

from simcrop.data.quality.facts import Outlier

LOW_HU, HIGH_HU, STEP_HU = -1100, 1600, 10
BINS = (HIGH_HU - LOW_HU) // STEP_HU
SAMPLE = 400_000  # voxels of a scan, about
FEWEST = 5  # scans, before one of them can be unlike the others
SHIFTED_HU = 100  # apart from the cohort, on average over the voxels of the body
Range = tuple[int, int]


@dataclass(frozen=True)
class Tissue:
    """`within`: HU counted as this tissue; `peak`: where its commonest value is expected; `least`: share to judge."""

    name: str
    within: Range
    peak: Range
    least: float


AIR = Tissue("air", (-1100, -940), (-1040, -960), 0.05)
LUNG = Tissue("lung", (-940, -500), (-930, -700), 0.02)
FAT = Tissue("fat", (-180, -30), (-130, -70), 0.02)
SOFT = Tissue("soft tissue", (-30, 200), (0, 120), 0.05)
TISSUES = (AIR, LUNG, FAT, SOFT)
BONE = Tissue("bone and contrast", (200, HIGH_HU), (200, HIGH_HU), 0.0)  # a shoulder, not a peak


@dataclass(frozen=True, eq=False)
class Histograms:
    """`shares`: float32 `(s, b)`, row by row those of `ids`."""

    ids: tuple[str, ...]
    shares: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)

    def share(self, tissue: Tissue) -> np.ndarray:
        """Share `(s,)` of the voxels of each scan that lie within the tissue's HU."""
        return self.shares[:, piece(tissue)].sum(1)

    def peak_hu(self, tissue: Tissue) -> np.ndarray:
        """Commonest HU `(s,)` within the tissue, NaN where there is too little of it to say."""
        inside = np.pad(self.shares[:, piece(tissue)], ((0, 0), (1, 1)))
        near = inside[:, :-2] + 2 * inside[:, 1:-1] + inside[:, 2:]
        peak = tissue.within[0] + (near.argmax(1) + 0.5) * STEP_HU
        return np.where(self.share(tissue) >= tissue.least, peak, np.nan)

    @property
    def apart_hu(self) -> np.ndarray:
        """How far `(s,)` each scan lies from the cohort's median, in HU: the earth mover's distance without the air,
        since how much air surrounds a body says nothing of its numbers.
        """
        body = self.shares[:, piece(AIR).stop :].astype(np.float64)
        below = np.cumsum(body, 1) / np.maximum(body.sum(1, keepdims=True), 1e-9)
        return np.abs(below - np.median(below, axis=0)).sum(1) * STEP_HU


def piece(tissue: Tissue) -> slice:
    """The bins within the tissue's HU."""
    low, high = ((hu - LOW_HU) // STEP_HU for hu in tissue.within)
    return slice(low, high)


def histogram(voxels: np.ndarray) -> np.ndarray:
    """Shares `(b,)` of int16 HU `(x, y, z)`; what lies below or above the bins is counted in no bin."""
    step = max(1, round((voxels.size / SAMPLE) ** (1 / 3)))
    thin = voxels[::step, ::step, ::step].astype(np.int32).ravel()
    bins = ((thin - LOW_HU) // STEP_HU).clip(-1, BINS) + 1
    counts = np.bincount(bins, minlength=BINS + 2)[1:-1]
    return (counts / max(thin.size, 1)).astype(np.float32)


def gathered(found: dict[str, np.ndarray]) -> Histograms:
    """Histograms by id, as one table."""
    shares = np.stack(list(found.values())) if found else np.empty((0, BINS), np.float32)
    return Histograms(tuple(found), shares)


def hu_outliers(seen: Histograms) -> list[Outlier]:
    """Scans whose HU are far from those of a chest, or from those of the cohort, the furthest first."""
    apart = seen.apart_hu if len(seen) >= FEWEST else np.zeros(len(seen))
    limit = max(SHIFTED_HU, 4 * float(np.median(apart))) if len(seen) else SHIFTED_HU
    reasons: list[list[str]] = [[] for _ in seen.ids]
    for tissue in (LUNG, SOFT):
        low, high = tissue.within
        for row, share in enumerate(seen.share(tissue)):
            if share < tissue.least:
                reasons[row].append(
                    f"hardly any {tissue.name}: {share:.1%} of voxels from {low} to {high} HU"
                )
    for tissue in (AIR, LUNG, SOFT):
        low, high = tissue.peak
        for row, peak in enumerate(seen.peak_hu(tissue)):
            if peak < low or peak > high:
                reasons[row].append(f"{tissue.name} peaks at {peak:.0f} HU, expected {low} to {high}")
    for row in np.flatnonzero(apart > limit):
        reasons[row].append(f"{apart[row]:.0f} HU from the cohort's median scan")
    order = np.argsort(-apart, kind="stable")
    return [Outlier(seen.ids[row], "; ".join(reasons[row])) for row in order if reasons[row]]
