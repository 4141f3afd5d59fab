"""Which of several DICOM series in one folder or archive is read, and for every other one the rule by which it lost.

Lengths in mm along the slice normal. Scouts, reports, dose sheets and screen captures never get here. Slices of two
patients or two examinations are refused: nobody could say whose report it is. Of one examination, each rule in its
turn keeps the best series and leaves the others out; which words count for a rule is our
reading of the vendors' habits.

1. Slices across the body before sagittal and coronal ones.
2. Slices before projections (MIP, MinIP, volume rendering).
3. One slice per position before several in one place, as in films of one level.
4. The chest before no word on the body part before another part.
5. The most of the body: at least four fifths of the longest series.
6. The least distance between slices, a tenth more counts as equal.
7. A soft kernel before one we do not know before a sharp one (lung, bone).
8. Original pictures before derived ones.
9. The most slices.
10. The lowest series number: of two phases of contrast the first.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf

import numpy as np
from pydicom.dataset import FileDataset

from simcrop.data.readers.series import Slice
from simcrop.errors import SimcropError

SHOWN = 5  # series that a sentence describes
SCATTERED = 2  # slices of a series that is no scan
CHEST, PROJECTIONS = ("CHEST", "THORAX", "LUNG"), {"MIP", "MINIP", "MAX IP", "MIN IP", "VRT", "VOLREN"}
SHARP, SOFT = ("LUNG", "BONE", "EDGE", "SHARP"), ("SOFT", "STANDARD", "SMOOTH")
SHARP_LETTERS = {"L", "YA", "YB", "YC", "D", "E", "EA", "EB", "EC"}  # Philips
SOFT_LETTERS = {"A", "B", "SA", "SB", "UA", "UB"}
NUMBERED = re.compile(r"([A-Z]{1,2})(\d\d)[A-Z]?")  # B31f, Br40f (Siemens), FC52 (Canon)


@dataclass(frozen=True)
class Traits:
    """What a header says of its whole series; unsaid are a `part` and a `sharpness` of 1 and an infinite `number`."""

    projection: bool
    derived: bool
    part: int  # 0 chest, 2 another one
    sharpness: int  # 0 soft, 2 sharp
    number: float


@dataclass(frozen=True, eq=False)
class Found:
    """One CT picture: its slice, or what is wrong with it, which counts only if its series is chosen.

    `patient` and `study` are compared and never shown.
    """

    series: str
    patient: str
    study: str
    traits: Traits
    slice: Slice | SimcropError


@dataclass(frozen=True, eq=False)
class Series:
    """The pictures of one series, measured."""

    pictures: list[Found]
    traits: Traits
    across: bool
    doubled: bool
    extent_mm: float
    step_mm: float

    @property
    def words(self) -> str:
        count = len(self.pictures)
        apart = f" {self.step_mm:.3g} mm apart" if self.step_mm < inf else ""
        number = f"number {self.traits.number:g} of " if self.traits.number < inf else ""
        return f"{number}{count} slice{'s' * (count != 1)}{apart}"


def choose(found: list[Found]) -> tuple[list[Slice], tuple[str, ...]]:
    """The slices of the one series to be read, and a note where others were left out."""
    reasons = {f.slice.reason if isinstance(f.slice, SimcropError) else "" for f in found}
    if len(reasons) == 1 and "" not in reasons:
        return sound(found), ()  # which says what is wrong with all of them, whichever series would be chosen
    grouped: dict[str, list[Found]] = {}
    for one in found:
        grouped.setdefault(one.series, []).append(one)
    refuse_scattered(found, grouped)
    # Tools that anonymise file by file give one series many studies, so that a study is asked once per series.
    patients, studies = {f.patient for f in found}, {pictures[0].study for pictures in grouped.values()}
    if len(patients - {""}) > 1 or len(studies - {""}) > 1:
        raise SimcropError(
            "several-series",
            "CT slices of several patients or examinations lie together, expected those of one",
        )
    left = [measured(pictures) for pictures in grouped.values()]
    lost: list[tuple[Series, str]] = []
    for why, value, slack in RULES:
        best = min(map(value, left))
        limit = best + (abs(best) * slack if slack else 0)
        lost += [(series, why) for series in left if value(series) > limit]
        left = [series for series in left if value(series) <= limit]
    if len(left) > 1:
        counts = counted(sorted((len(s.pictures) for s in left), reverse=True))
        raise SimcropError(
            "several-series",
            f"{len(left)} CT series lie together, with {counts} slices, and no rule prefers one: "
            "expected one series",
        )
    return sound(left[0].pictures), (note(left[0], lost),) if lost else ()


def refuse_scattered(found: list[Found], grouped: dict[str, list[Found]]) -> None:
    """Slices that bear nearly as many series as they are: no rule could find the scan among them."""
    if len(grouped) > 1 and max(map(len, grouped.values())) <= SCATTERED:
        raise SimcropError(
            "several-series",
            f"{len(found)} CT slices bear {len(grouped)} different SeriesInstanceUIDs, as after a tool that gave each "
            "file ids of its own: give all slices of one scan the same SeriesInstanceUID",
        )


def counted(numbers: list[int]) -> str:
    shown = " and ".join(map(str, numbers[:SHOWN]))
    return shown if len(numbers) <= SHOWN else f"{shown} and so on"


RULES: tuple[tuple[str, Callable[[Series], float], float], ...] = (
    ("not across the body", lambda s: not s.across, 0),
    ("a projection", lambda s: s.traits.projection, 0),
    ("several slices at one position", lambda s: s.doubled, 0),
    ("not said to show the chest", lambda s: s.traits.part, 0),
    ("less of the body", lambda s: -s.extent_mm, 0.2),
    ("slices farther apart", lambda s: s.step_mm, 0.1),
    ("not the softest kernel", lambda s: s.traits.sharpness, 0),
    ("derived from another", lambda s: s.traits.derived, 0),
    ("fewer slices", lambda s: -len(s.pictures), 0),
    ("a later series number", lambda s: s.traits.number, 0),
)
"""Why a series is left out, the value whose lowest wins, and the share by which another may miss it."""


def sound(pictures: list[Found]) -> list[Slice]:
    """The slices, once none of them has anything wrong; else the first fault, and how many slices have one like it."""
    faults = [p.slice for p in pictures if isinstance(p.slice, SimcropError)]
    if faults:
        alike = sum(fault.reason == faults[0].reason for fault in faults) - 1
        others = f", and {alike} more of these {len(pictures)} slices are like it" if alike else ""
        raise SimcropError(faults[0].reason, faults[0].sentence + others)
    return [p.slice for p in pictures if isinstance(p.slice, Slice)]


def note(best: Series, lost: list[tuple[Series, str]]) -> str:
    others = ", ".join(f"{series.words} ({why})" for series, why in lost[:SHOWN])
    more = f" and {len(lost) - SHOWN} more" if len(lost) > SHOWN else ""
    return f"taken of {len(lost) + 1} CT series is {best.words}, left out {others}{more}"


def measured(pictures: list[Found]) -> Series:
    """Extent and distance along the normal of the first sound slice."""
    slices = [p.slice for p in pictures if isinstance(p.slice, Slice)]
    traits = next((p.traits for p in pictures if isinstance(p.slice, Slice)), pictures[0].traits)
    if not slices:
        return Series(pictures, traits, across=False, doubled=False, extent_mm=0.0, step_mm=inf)
    normal = np.cross(slices[0].orientation[:3], slices[0].orientation[3:])
    along = np.sort([float(s.position @ normal) for s in slices])
    steps = np.diff(along)
    apart = steps[steps >= 1e-3]
    return Series(
        pictures,
        traits,
        across=bool(abs(normal[2]) >= np.abs(normal).max()),
        doubled=len(apart) < len(steps),
        extent_mm=float(along[-1] - along[0]),
        step_mm=float(np.median(apart)) if apart.size else inf,
    )


def traits_of(header: FileDataset) -> Traits:
    image_type = [word.upper() for word in words_of(header.get("ImageType", None))]
    return Traits(
        projection=bool(PROJECTIONS & set(image_type)),
        derived="DERIVED" in image_type[:1],
        part=part_of(str(header.get("BodyPartExamined", None) or "")),
        sharpness=sharpness_of(words_of(header.get("ConvolutionKernel", None))),
        number=number_of(header),
    )


def words_of(value: object) -> list[str]:
    """The parts of a header value that may be absent, one word or many."""
    return (
        [value] if isinstance(value, str) else [str(v) for v in value] if isinstance(value, Sequence) else []
    )


def number_of(header: FileDataset) -> float:
    """A number that is none counts as unsaid: it only breaks ties."""
    try:
        return float(header.get("SeriesNumber", inf))
    except (TypeError, ValueError):
        return inf


def part_of(body_part: str) -> int:
    """0 the chest, 1 unsaid, 2 another part of the body."""
    return 1 if not body_part.strip() else 0 if any(word in body_part.upper() for word in CHEST) else 2


def sharpness_of(kernel: list[str]) -> int:
    """0 soft, 1 unknown, 2 sharp. The first word names the kernel, further ones its strength."""
    name = kernel[0].strip().upper() if kernel else ""
    if name in SHARP_LETTERS or any(word in name for word in SHARP):
        return 2
    if name in SOFT_LETTERS or any(word in name for word in SOFT):
        return 0
    numbered = NUMBERED.fullmatch(name)
    if numbered is None:
        return 1
    return 2 if int(numbered[2]) >= (30 if numbered[1] == "FC" else 50) else 0
