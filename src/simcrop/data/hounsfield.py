"""What the numbers of a scan mean: Hounsfield units by evidence from header, metadata table and histogram.

No axes: every function takes an array of any shape. Stored numbers become HU by `stored * slope + intercept`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from simcrop.data.volume import AIR_HU, HuDecision
from simcrop.errors import SimcropError

NO_MATTER_HU = -1500  # nothing measured lies below: padding outside the field of view, or garbage
PADDING_HU = -1100  # from here down, one exact value that repeats is padding too
PADDING_SHARE = 0.01
SAMPLE = 400_000
LARGEST_FLOAT = float(np.finfo(np.float32).max)
MOST_LABELS = 120  # of a mask, such as TotalSegmentator's
GIVEN = "given"  # the source of a rescale that a user told, see `tasks.rescale`
AIR_WITHIN = 60  # HU that a scanner's air may lie off -1000
COMMON_RESCALES = ((1.0, -1024.0), (1.0, -1000.0), (1.0, -8192.0))  # named as advice, never applied unasked


@dataclass(frozen=True)
class Hint:
    """What a data set's own table, or a user, says of a scan, believed only where the voxels agree.

    `spacing_mm` x, y, z; `position_lps_mm` the first voxel's centre; `orientation_lps` six cosines (row, column).
    """

    slope: float
    intercept: float
    spacing_mm: tuple[float, float, float] | None = None
    position_lps_mm: tuple[float, float, float] | None = None
    orientation_lps: tuple[float, float, float, float, float, float] | None = None
    # Of the rescale; left out of fingerprints, which are older.
    source: str = field(default="metadata", repr=False)

    @property
    def places(self) -> bool:
        """Whether it is about more than the rescale that a user gave."""
        return self.source != GIVEN or any((self.spacing_mm, self.position_lps_mm, self.orientation_lps))


@dataclass(frozen=True)
class Evidence:
    """Shares of a sample of voxels, [0, 1]; all but `padding` are shares of those that are not padding."""

    air: float  # air and lung, below -300 HU
    airy: float  # the same without the one value that repeats most: padding stored as -1024 is no air
    soft: float  # fat to muscle and blood, -200 to 250 HU
    dense: float  # above 4000 HU
    below: float  # not padding, yet below -1200 HU
    tail: bool  # what lies below is the lesser end of air's own noise: the air lies where it should
    outer: float  # air near -1000 HU, as around a patient
    mirrored: float  # the same of the numbers with the other sign
    tissue_hu: float  # centre of the soft tissue's fullest bin
    padding: float
    padding_hu: float | None

    @property
    def plausible(self) -> bool:
        """A CT, whole or a crop of lung, heart or abdomen: something airy and something soft, little else."""
        return self.shaped and not self.exchanged

    @property
    def shaped(self) -> bool:
        low = self.below <= 0.02 or self.tail
        return bool(self.airy >= 0.01 and self.soft >= 0.03 and self.dense <= 0.005 and low)

    @property
    def exchanged(self) -> bool:
        """Bright and dark are: air lies near 1000 HU and none near -1000."""
        return self.shaped and self.mirrored >= 0.02 and self.outer < 0.005

    def supports(self, slope: float) -> bool:
        """Beside a negative slope, more often a slip than meant, nothing is believed without air around a patient."""
        return self.plausible and (slope > 0 or self.outer >= 0.01)


def decide(
    values: np.ndarray,
    slope: float = 1.0,
    intercept: float = 0.0,
    hint: Hint | None = None,
    source: str = "header",
) -> HuDecision:
    """Which rescale turns `values` into HU: the file's own, the table's or none; the first plausible one.

    `slope` and `intercept` are what the file says. Refuses numbers that no candidate makes a CT.
    """
    sampler = HuSampler(values.shape)
    sampler.see_all(values)
    return sampler.decide(slope, intercept, hint, source)


class HuSampler:
    """Looks at a scan's numbers, all at once or plane by plane, and remembers its range and about `SAMPLE` voxels."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.step = max(1, round((int(np.prod(shape, dtype=np.int64)) / SAMPLE) ** (1 / len(shape))))
        self.samples: list[np.ndarray] = []
        self.low, self.high = np.inf, -np.inf

    def see_all(self, values: np.ndarray) -> None:
        self.see_range(values)
        self.samples.append(self.spread(values))

    def see(self, k: int, plane: np.ndarray) -> None:
        """Plane `k` of a volume."""
        self.see_range(plane)
        if k % self.step == self.step // 2:
            self.samples.append(self.spread(plane))

    def see_range(self, values: np.ndarray) -> None:
        # A NaN stays: no later comparison takes it away.
        self.low, self.high = np.minimum(self.low, values.min()), np.maximum(self.high, values.max())

    def spread(self, values: np.ndarray) -> np.ndarray:
        """Every `step`-th voxel along every axis."""
        with np.errstate(invalid="ignore"):  # of a NaN that signals, `see_range` has told already
            return values[(slice(self.step // 2, None, self.step),) * values.ndim].astype(np.float64).ravel()

    def decide(self, slope: float, intercept: float, hint: Hint | None, source: str) -> HuDecision:
        """The verdict on what was seen so far."""
        low, high = check_range(float(self.low), float(self.high))
        sample = np.concatenate(self.samples) if self.samples else np.zeros(0)
        for name, a, b in candidates(slope, intercept, hint, source):
            with np.errstate(over="ignore", invalid="ignore"):
                evidence = weigh(sample * a + b)
            if evidence.supports(min(a, slope)):
                if max(abs(low * a + b), abs(high * a + b)) > LARGEST_FLOAT:
                    raise SimcropError("not-finite", "some voxels are too large for any number of a scan")
                padding_hu = evidence.padding_hu
                if padding_hu is None and min(low * a, high * a) + b < NO_MATTER_HU:
                    padding_hu = float(min(low * a, high * a) + b)
                changed = name == "stored" and (slope, intercept) != (1.0, 0.0)
                sentence = explain(name, a, b, evidence, padding_hu, changed)
                if hint is not None and hint.source == GIVEN != name:
                    sentence += f"; the rescale given ({hint.slope:g}, {hint.intercept:g}) was not needed"
                return HuDecision(name, a, b, padding_hu, sentence, evidence.padding)
            if evidence.exchanged and a > 0:
                break  # of such numbers a shift would make air of soft tissue
        raise SimcropError("not-ct", refusal(sample, low, high, slope, intercept, hint))


def candidates(
    slope: float, intercept: float, hint: Hint | None, source: str
) -> Iterator[tuple[str, float, float]]:
    """Rescales to try, the most trusted first: a table is asked only when the file's own words fail."""
    identity = (slope, intercept) == (1.0, 0.0)
    yield ("stored" if identity and source == "header" else source), slope, intercept
    if hint is not None and (hint.slope, hint.intercept) != (slope, intercept):
        yield hint.source, hint.slope, hint.intercept
    if not identity and source == "header":
        yield "stored", 1.0, 0.0


def to_hu(values: np.ndarray, decision: HuDecision) -> np.ndarray:
    """float32 HU; padding and whatever else lies below matter becomes air."""
    hu = np.empty_like(values, np.float32)
    padding = None if decision.padding_hu is None else np.float32(decision.padding_hu)
    # Plane by plane, so that every step finds its numbers in the cache.
    for plane, out in zip(np.moveaxis(values, -1, 0), np.moveaxis(hu, -1, 0), strict=True):
        if decision.slope == 1:
            np.add(plane, np.float32(decision.intercept), out=out, dtype=np.float32, casting="same_kind")
        else:
            out[...] = plane * np.float64(decision.slope) + decision.intercept
        if padding is not None:
            np.putmask(out, (out < NO_MATTER_HU) | (out == padding), AIR_HU)
    return hu


def check_range(low: float, high: float) -> tuple[float, float]:
    """Lowest and highest number; NaN, infinity and a single number throughout are refused."""
    if not np.isfinite([low, high]).all():
        raise SimcropError("not-finite", "some voxels are NaN or infinite, expected plain numbers")
    if low == high:
        raise SimcropError("constant", f"every voxel holds {low:g}, expected an image")
    return low, high


def weigh(hu: np.ndarray) -> Evidence:
    """The histogram's testimony if these numbers were HU."""
    values, times = np.unique(hu, return_counts=True)  # a scan has far fewer numbers than voxels
    padding = values < PADDING_HU
    padding &= (times >= max(2, PADDING_SHARE * hu.size)) | (values < NO_MATTER_HU)
    kept, often = values[~padding], times[~padding]
    air, soft = kept < -300, (kept > -200) & (kept < 250)
    bins, edges = np.histogram(kept[soft], bins=45, range=(-200, 250), weights=often[soft])
    n, airy = max(int(often.sum()), 1), often[air].sum() - often[air].max(initial=0)

    def share(which: np.ndarray) -> float:
        return float(often[which].sum() / n)

    return Evidence(
        air=share(air),
        airy=float(airy / n),
        soft=share(soft),
        dense=share(kept > 4000),
        below=share(kept < -1200),
        tail=is_tail(kept[air], often[air]),
        outer=share(np.abs(kept + 1000) < AIR_WITHIN),
        mirrored=share(np.abs(kept - 1000) < AIR_WITHIN),
        tissue_hu=float(edges[bins.argmax()] + 5),
        padding=float(times[padding].sum() / max(hu.size, 1)),
        padding_hu=float(values[padding][times[padding].argmax()]) if padding.any() else None,
    )


def is_tail(air: np.ndarray, often: np.ndarray) -> bool:
    """Whether what lies below -1200 HU is the noise of air, as sharp kernels and low doses make it; each number with
    how often it is there.

    HU that were stored unclipped and are not shifted peak above -1100, and twice as many lie from -1000 down to -1200.
    """
    counts, edges = np.histogram(air, bins=16, range=(-1500, -700), weights=often)
    below, above = often[air < -1200].sum(), often[(air >= -1200) & (air < -1000)].sum()
    return bool(edges[counts.argmax()] >= -1100 and above >= 2 * below)


def explain(name: str, a: float, b: float, seen: Evidence, padding_hu: float | None, changed: bool) -> str:
    """The decision in one sentence, for the ledger."""
    rescale = f"slope {a:g}, intercept {b:g}"
    words = {
        "header": f"the header's rescale ({rescale}) gives HU",
        "stored": "the stored numbers are HU already",
        "metadata": f"the metadata table's rescale ({rescale}) gives HU where the file's own numbers do not",
        GIVEN: f"the rescale given by the user ({rescale}) gives HU where the file's own numbers do not",
        "npz": f"the format's own scale ({rescale}) gives HU",
        "slices": f"the window assumed for 8-bit slices ({rescale}) gives HU, cut at its ends",
    }
    parts = [
        words[name] + (", the header's rescale would spoil them" if changed else ""),
        f"{seen.air:.0%} air and lung, {seen.soft:.0%} soft tissue, most of it near {seen.tissue_hu:.0f} HU",
    ]
    if padding_hu is not None:
        parts.append(f"{seen.padding:.2%} of voxels are padding (such as {padding_hu:g}) and count as air")
    return "; ".join(parts)


def refusal(
    sample: np.ndarray, low: float, high: float, slope: float, intercept: float, hint: Hint | None
) -> str:
    """Why these numbers are no CT, and what would make them one if that can be guessed."""
    tried = [f"the header's rescale ({slope:g}, {intercept:g})"]
    if hint is not None:
        whose = "the given one" if hint.source == GIVEN else "the metadata table's"
        tried.append(f"{whose} ({hint.slope:g}, {hint.intercept:g})")
    labels = np.unique(sample).size <= MOST_LABELS and low >= 0 and bool((sample == np.round(sample)).all())
    advice = "; few numbers, as in a mask of labels: ct.nii.gz has ct_mask.nii.gz" if labels else ""
    with np.errstate(over="ignore", invalid="ignore"):
        exchanged = weigh(sample * slope + intercept).exchanged
    if exchanged:
        advice = "; bright and dark are exchanged, air lies near 1000: expected the other sign"
    for a, b in () if exchanged else COMMON_RESCALES:
        if weigh(sample * a + b).plausible:
            advice = (
                f"; with an intercept of {b:g} they would be one: if that is the scan's rescale, give it to ingest, "
                f"embed or ground by --rescale {a:g},{b:g}; an MR has none and cannot be read"
            )
            break
    return (
        f"the stored numbers run from {low:g} to {high:g} and are no CT in HU with {' or '.join(tried)}: "
        f"expected air or lung below -300 and soft tissue between -200 and 250{advice}"
    )


def hint_from_ct_rate(row: Mapping[str, str | None]) -> Hint:
    """One row of CT-RATE's metadata CSV; a missing or garbled field is as good as unsaid."""
    slope, intercept = numbers(row.get("RescaleSlope"), 1), numbers(row.get("RescaleIntercept"), 1)
    rescale = (slope[0], intercept[0]) if slope and intercept and slope[0] > 0 else (1.0, 0.0)
    rows_columns, slices = numbers(row.get("XYSpacing"), 2), numbers(row.get("ZSpacing"), 1)
    spacing = None
    if rows_columns and slices and min(*rows_columns, *slices) > 0 and max(*rows_columns, *slices) < 50:
        spacing = (rows_columns[1], rows_columns[0], slices[0])
    position = numbers(row.get("ImagePositionPatient"), 3)
    c = numbers(row.get("ImageOrientationPatient"), 6)
    return Hint(
        *rescale,
        spacing_mm=spacing,
        position_lps_mm=(position[0], position[1], position[2]) if position else None,
        orientation_lps=(c[0], c[1], c[2], c[3], c[4], c[5]) if c and is_rotation(c) else None,
    )


def numbers(text: str | None, count: int) -> list[float] | None:
    """Exactly `count` finite numbers out of `"[0.34, 0.34]"`, or nothing."""
    try:
        found = [float(word) for word in (text or "").strip().strip("[]()").split(",")]
    except ValueError:
        return None
    return found if len(found) == count and np.isfinite(found).all() else None


def is_rotation(cosines: list[float]) -> bool:
    """Two perpendicular unit vectors, as DICOM writes them, within rounding."""
    along, down = np.array(cosines[:3]), np.array(cosines[3:])
    return bool(np.allclose([along @ along, down @ down, along @ down], [1, 1, 0], atol=1e-2))
