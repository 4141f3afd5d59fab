"""The fitted heads of a probe on disk, to be asked of other scans. Axes: d features, l label."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open

from simcrop.errors import SimcropError
from simcrop.evaluation.probe import Probe
from simcrop.evaluation.views import Scaling
from simcrop.files.tensors import save_tensors

HEADS = "heads.safetensors"
PARTS = ("mean", "scale", "weights", "bias", "thresholds")


@dataclass(frozen=True, eq=False)
class Heads:
    """Probes of one share, a seed each, for the features of one model pooled in one way."""

    labels: list[str]
    pool: str
    model: str
    source: str
    share: float
    probes: tuple[Probe, ...]


def save_heads(
    path: Path,
    found: Mapping[float, Sequence[Probe]],
    labels: Sequence[str],
    settings: Mapping[str, Any],
    source: str,
) -> None:
    """All heads in one file; `source`: where their features came from."""
    tensors = {
        f"{share:g}/{n}/{part}": torch.from_numpy(np.asarray(array, np.float64))
        for share, probes in found.items()
        for n, each in enumerate(probes)
        for part, array in zip(PARTS, arrays_of(each), strict=True)
    }
    said = {
        "labels": list(labels),
        "pool": settings["pool"],
        "model": settings["model"],
        "source": source,
        "shares": {
            f"{share:g}": [[each.scaling.view, each.strength] for each in probes]
            for share, probes in found.items()
        },
    }
    save_tensors(tensors, path, {"simcrop": json.dumps(said)})


def arrays_of(probe: Probe) -> tuple[np.ndarray, ...]:
    """In the order of `PARTS`."""
    return probe.scaling.mean, probe.scaling.scale, probe.weights, probe.bias, probe.thresholds


def load_heads(folder: Path, share: float | None = None) -> Heads:
    """Of a folder that `simcrop probe` wrote: those of the largest share, or of the one asked for."""
    path = folder / HEADS
    try:
        with safe_open(path, "numpy") as file:
            said = json.loads((file.metadata() or {})["simcrop"])
            chosen = max(said["shares"], key=float) if share is None else f"{share:g}"
            probes = tuple(
                read_probe({part: file.get_tensor(f"{chosen}/{n}/{part}") for part in PARTS}, *how)
                for n, how in enumerate(said["shares"].get(chosen, ()))
            )
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise SimcropError(
            "bad-input", f"{folder} is no result of `simcrop probe`: no sound {HEADS} in it"
        ) from error
    if not probes:
        raise SimcropError(
            "bad-setting", f"{folder} has no share {chosen}; it has {', '.join(said['shares'])}"
        )
    return Heads(said["labels"], said["pool"], said["model"], said["source"], float(chosen), probes)


def read_probe(arrays: Mapping[str, np.ndarray], view: Any, strength: float) -> Probe:
    scaling = Scaling(view, arrays["mean"], arrays["scale"])
    return Probe(scaling, arrays["weights"], arrays["bias"], strength, None, arrays["thresholds"])
