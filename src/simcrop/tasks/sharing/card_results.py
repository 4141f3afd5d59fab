"""Results that a model card tells: figures with their intervals, by whom they were judged, and that they are of this
model. No axes or units.

Read from the folders of `simcrop probe`, `zero-shot` and `retrieve`; of each its own numbers, no name of a folder.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simcrop.errors import SimcropError
from simcrop.files.whole import read_json
from simcrop.tasks.folder import METRICS, read_run

TITLES = {
    "probe": "Probe: a head on frozen features",
    "zero-shot": "Zero-shot: labels asked for in words",
    "retrieve": "Retrieval: scans and reports that look for one another",
}
OF_LABELS = ("auroc", "average_precision")
BESIDE = ("_low", "_high", "_draws", "_labels")  # of a mean, and no mean itself
WORDS = {"auroc": "AUROC", "average_precision": "average precision", "f1": "F1", "brier": "Brier score"}


@dataclass(frozen=True)
class Figure:
    """One number; `low` to `high`: its 95 % interval over patients, if there is one."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None

    def __str__(self) -> str:
        wide = self.low is not None and self.high is not None and self.low < self.high
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})" if wide else f"{self.value:.3f}"


@dataclass(frozen=True)
class Results:
    """What one verb found. `how`: which of its ways, in words; `people`: by whom it was judged; `split_hash`: the same
    for the same patients.
    """

    title: str
    how: str
    figures: tuple[Figure, ...]
    people: str
    split_hash: str
    note: str


def read_results(folder: Path, digests: Collection[str]) -> Results:
    """Raises SimcropError of a folder without results, and of those of another model than `digests` says."""
    run = read_run(folder)
    if run is None or run["verb"] not in TITLES:
        what = "holds no results" if run is None else f"was made by `simcrop {run['verb']}`"
        known = ", ".join(TITLES)
        raise SimcropError("bad-results", f"--results {folder} {what}: a card takes those of {known}")
    try:
        metrics = read_json(folder / METRICS)
    except (OSError, ValueError) as error:
        raise SimcropError(
            "bad-results", f"--results {folder} has no sound {METRICS}: run it again"
        ) from error
    if run["settings"].get("model") not in digests:
        raise SimcropError(
            "other-model",
            f"--results {folder}: these are of another model, by its digest; run `simcrop {run['verb']}` with this one",
        )
    verb = run["verb"]
    return Results(
        TITLES[verb],
        how_of(verb, metrics),
        tuple(figures_of(verb, metrics)),
        people_of(metrics),
        split_of(metrics.get("split_hash")),
        str(metrics.get("note") or ""),
    )


def judged_by_itself(metrics: Mapping[str, Any]) -> Iterator[Results]:
    """Of a segmentation, which was judged as soon as it was trained."""
    if "segmentation_scans" in metrics:
        yield Results(
            "Segmentation of scans held out",
            f"surface Dice (nsd) within {metrics.get('nsd_tolerance_mm')} mm",
            tuple(with_intervals(metrics)),
            f"scans: {metrics['segmentation_scans']}; patients: {metrics.get('segmentation_patients')}",
            split_of(metrics.get("split_hash")),
            "",
        )


def how_of(verb: str, metrics: Mapping[str, Any]) -> str:
    """Which of its ways."""
    if verb == "probe":
        shares = ", ".join(f"{float(share):.0%}" for share in metrics.get("shares", {}))
        return f"head: {metrics.get('head')}; of the training patients: {shares}, the figures are of the largest share"
    if verb == "zero-shot":
        protocol = metrics.get("protocol") or {}
        whose = protocol.get("whose") if isinstance(protocol, dict) else None
        return f"protocol of {whose}; {metrics.get('top_k')} patches score a sentence"
    return f"text: {metrics.get('text')}"


def figures_of(verb: str, metrics: Mapping[str, Any]) -> Iterator[Figure]:
    """Means first, then labels; of retrieval everything that has an interval."""
    if verb == "retrieve":
        yield from with_intervals(metrics)
        return
    for key in metrics:
        if key.startswith("macro_") and not key.endswith(BESIDE):
            name = key.removeprefix("macro_")
            yield from figure(metrics, key, f"mean {WORDS.get(name, name.replace('_', ' '))}")
    for label, of in (metrics.get("labels") or {}).items():
        for measure in OF_LABELS:
            yield from figure(of, measure, f"{label}, {WORDS[measure]}")
    for name, of in (metrics.get("baselines") or {}).items():
        yield from figure(of, "macro_auroc", f"for comparison, {name}: mean AUROC")


def figure(of: Mapping[str, Any], key: str, name: str) -> Iterator[Figure]:
    """One, where it is a number."""
    if isinstance(value := of.get(key), int | float):
        yield Figure(name, value, of.get(low_of(key)), of.get(low_of(key, "_high")))


def with_intervals(metrics: Any, path: tuple[str, ...] = ()) -> Iterator[Figure]:
    """Every number that has one, called by its way there."""
    if isinstance(metrics, list):
        for one in metrics:
            yield from with_intervals(one, path)
    if not isinstance(metrics, dict):
        return
    if "direction" in metrics:
        path = (str(metrics["direction"]), str(metrics.get("pool")))
    for key, value in metrics.items():
        if isinstance(value, dict | list):
            yield from with_intervals(value, (*path, key))
        elif low_of(key) in metrics:
            yield from figure(metrics, key, ", ".join((*path, key)))


def low_of(key: str, bound: str = "_low") -> str:
    """`dice:liver` has `dice_low:liver`."""
    name, colon, of = key.partition(":")
    return f"{name}{bound}{colon}{of}"


def people_of(metrics: Mapping[str, Any]) -> str:
    """How many scans of how many patients, of each split."""

    def counted(name: str) -> str:
        of = metrics.get(name)
        if isinstance(of, dict):
            return ", ".join(f"{split} {count}" for split, count in of.items())
        return str(of)

    return f"scans: {counted('scans')}; patients: {counted('patients')}"


def split_of(found: Any) -> str:
    """Short enough for a line, long enough to be told apart."""
    if isinstance(found, dict):
        return ", ".join(f"{split} `{str(digest)[:16]}`" for split, digest in found.items())
    return f"`{str(found)[:16]}`" if found else "not recorded"
