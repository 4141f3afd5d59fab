"""What the viewer answers, as plain typed values that become JSON.

Axes: x right, y front, z up; places and corners in RAS+ mm, volumes in ml, similarity is a cosine.
"""

from dataclasses import dataclass
from typing import Any, Literal

from simcrop.viewer.regions import Region


@dataclass(frozen=True)
class Error:
    reason: str
    sentence: str


@dataclass(frozen=True)
class AboutModel:
    method: str
    reads: bool
    top_k: int
    patch_mm: list[float]
    fine: list[int]


@dataclass(frozen=True)
class Can:
    upload: bool
    dicom: bool
    similar: bool
    open: bool


@dataclass(frozen=True)
class Bounds:
    bytes: int
    files: int
    sentences: int


@dataclass(frozen=True)
class About:
    name: str
    kind: Literal["cohort", "scans"]
    studies: int
    splits: list[str]
    labels: list[str]
    model: AboutModel | None
    can: Can
    limits: Bounds
    version: str


@dataclass(frozen=True)
class Row:
    """A study in a list."""

    key: str
    name: str
    split: str
    labels: list[str]
    sentences: int
    has_mask: bool
    has_report: bool
    uploaded: bool


@dataclass(frozen=True)
class Listed:
    total: int
    page: int
    pages: int
    studies: list[Row]


@dataclass(frozen=True)
class Volume:
    shape: list[int]
    spacing_mm: list[float]
    affine: list[list[float]]
    shown_spacing_mm: list[float]
    reduced: bool


@dataclass(frozen=True)
class Line:
    """A sentence of a report; `n` counts from 0 over findings, then impression."""

    n: int
    text: str
    section: Literal["findings", "impression"]
    mark: Literal["affirmed", "denied", "normal"]
    means: str


@dataclass(frozen=True)
class Class:
    value: int
    name: str
    sentence: int | None


@dataclass(frozen=True)
class Truth:
    classes: list[Class]


@dataclass(frozen=True)
class Study:
    key: str
    name: str
    split: str
    labels: list[str]
    volume: Volume
    sentences: list[Line]
    truth: Truth | None
    notes: list[str]


@dataclass(frozen=True)
class Box:
    similarity: float
    low_mm: list[float]
    high_mm: list[float]


@dataclass(frozen=True)
class Map:
    """One sentence's map; at most the 256 nearest of its boxes."""

    map: str
    mark: Literal["affirmed", "denied", "normal"]
    means: str
    similarity_max: float
    similarity_mean: float
    least: float
    greatest: float
    threshold: float
    nearest_mm: list[float]
    boxes: list[Box]


@dataclass(frozen=True)
class Maps:
    maps: list[Map]


@dataclass(frozen=True)
class Regions:
    regions: list[Region]


@dataclass(frozen=True)
class Near:
    key: str
    name: str
    similarity: float
    split: str
    labels: list[str]
    same_patient: bool


@dataclass(frozen=True)
class Alike:
    studies: list[Near]


@dataclass(frozen=True)
class Begun:
    """Work that goes on; None where nothing had to be done."""

    job: str | None


@dataclass(frozen=True)
class JobState:
    state: Literal["waiting", "running", "done", "failed", "cancelled"]
    progress: float
    says: str
    result: dict[str, Any] | None
    error: Error | None
