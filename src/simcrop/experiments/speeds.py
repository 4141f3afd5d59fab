"""What machines do, read from `simcrop.speeds`: limits, shares of them, seconds and bytes, each with its source.

No axes. TFLOP/s are of dense bf16; GB are 10^9 bytes, GiB 2^30.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from statistics import mean

from pydantic import Field

from simcrop.errors import SimcropError
from simcrop.evaluation.shipped import read_settings
from simcrop.settings import Settings

Points = tuple[tuple[int, float], ...]  # a batch on one card, and what was found there
MEASURED = "h100"  # on which training was measured


class Device(Settings):
    """`product`: what a large product reaches, where it was measured."""

    sheet: float = Field(gt=0)
    product: float | None = Field(default=None, gt=0)
    memory_gb: float = Field(gt=0)
    link_gb_per_s: float = Field(gt=0)
    source: str


class Training(Settings):
    source: str
    plain: Points
    ways: Mapping[str, Points]
    distributed: float
    peak_gib: Points

    @property
    def largest(self) -> int:
        """Batch on one card that was measured; of a larger one nothing more is hoped for."""
        return max(batch for batch, _ in self.plain)

    @property
    def least(self) -> int:
        """Below it a share is a line drawn on."""
        return min(batch for batch, _ in self.plain)

    def share(self, batch: int, way: str = "plain") -> float:
        """Of the product limit, with so many scans at once on a card. Every step has a part that takes as long for few
        scans as for many: seconds are a line through those that were measured, and so is batch over share. A way that
        was measured with one batch alone gains or loses with every batch what it did with that one.
        """
        there = self.plain if way == "plain" else self.ways[way]
        batch = min(batch, self.largest)
        if len({of for of, _ in there}) == 1:
            return self.share(batch) * mean(share for _, share in there) / self.at(self.plain, there[0][0])
        start, slope = line([(b, b / share) for b, share in there])
        return batch / (start + slope * batch)

    @staticmethod
    def at(points: Points, batch: int) -> float:
        return mean(value for of, value in points if of == batch)


class Ingest(Settings):
    source: str
    core_seconds_per_scan: float
    raw_mb_per_scan: float


class Codec(Settings):
    mb: float
    milliseconds: float


class Codecs(Settings):
    source: str
    spacing_mm: tuple[float, float, float]
    by_name: Mapping[str, Codec]


class Machine(Settings):
    source: str
    gpus: int
    cores_per_gpu: int
    disk_gb_per_s: float
    network_gb_per_s_per_gpu: float


class Cores(Settings):
    source: str
    bf16_gflop_per_s: float
    fp32_gflop_per_s: float
    start_s: float
    draw_s: float

    def gflop_per_s(self, precision: str) -> float:
        return {"bf16": self.bf16_gflop_per_s, "fp32": self.fp32_gflop_per_s}[precision]


class DataSets(Settings):
    source: str
    classify: Mapping[str, int]
    segment: Mapping[str, int]


class Speeds(Settings):
    devices: Mapping[str, Device]
    training: Training
    ingest: Ingest
    codecs: Codecs
    machine: Machine
    cores: Cores
    data_sets: DataSets

    def device(self, kind: str) -> Device:
        """Raises SimcropError that proposes the nearest."""
        if kind not in self.devices:
            near = get_close_matches(kind.lower(), self.devices, 1, 0)[0]
            raise SimcropError(
                "no-device",
                f"no device {kind!r} is known, did you mean {near}? There are {', '.join(self.devices)}",
            )
        return self.devices[kind]

    def product_tflops(self, device: Device) -> float:
        """Of a large product: measured, else as large a share of the data sheet as on the card that was measured."""
        known = self.devices[MEASURED]
        assert known.product is not None
        return device.product or device.sheet * known.product / known.sheet


def line(points: list[tuple[int, float]]) -> tuple[float, float]:
    """Start and slope of the least squares."""
    x0, y0 = mean(x for x, _ in points), mean(y for _, y in points)
    slope = sum((x - x0) * (y - y0) for x, y in points) / sum((x - x0) ** 2 for x, _ in points)
    return y0 - slope * x0, slope


@cache
def speeds() -> Speeds:
    """The shipped ones."""
    return read_settings(Speeds, "list of speeds", "simcrop.speeds", "speeds")
