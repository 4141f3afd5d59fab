"""What `simcrop ground` is asked for beside sentences, and how it looks and writes by it, at one scan or at many.

Axes: s sentence, e features shared with texts; maps on the scan's own grid, boxes in RAS+ mm.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from simcrop.data.readers import naming
from simcrop.data.readers.series_headers import is_series, series_headers
from simcrop.data.volume import Volume
from simcrop.data.writers.dicom_ground import Sought, dicom_results
from simcrop.errors import SimcropError
from simcrop.evaluation.wording.marks import mark_of
from simcrop.files.whole import StoreError, write_whole
from simcrop.model import Heat, Model
from simcrop.model.heat import HeatMaps, TopK, looks_along


@dataclass(frozen=True)
class GroundOptions:
    """`top_k`: patches to box, the model's own number when None, by a stated size with `auto`; `fine`: looks that are
    averaged; `whole`: all of a scan that is larger than the input; `threshold`: the similarity from which on a voxel is
    of a region, that of the last box when None.
    """

    top_k: TopK = None
    fine: int = 1
    whole: bool = False
    threshold: float | None = None

    def check(self, model: Model) -> None:
        """Raises SimcropError for what the model cannot, before a scan is read."""
        looks_along(self.fine, model.grid.patch)
        _ = model.reader

    def settings(self, model: Model) -> dict[str, Any]:
        """For `run.json`; what was not asked for is left out."""
        said = {"fine": self.fine, "whole": self.whole, "threshold": self.threshold}
        usual = vars(GroundOptions())
        return {"top_k": self.top_k or model.top_k} | {k: v for k, v in said.items() if v != usual[k]}


def seek(
    model: Model, volume: Volume, sentences: Sequence[str], asked: GroundOptions, texts: Tensor | None = None
) -> HeatMaps:
    """Each sentence in one scan, which is encoded once; `texts`: their features, where they are known."""
    looked = model.look_at_whole(volume) if asked.whole else model.look(volume)
    maps = looked.look_for(sentences, asked.top_k, asked.fine, texts)
    if not np.isfinite(maps.values).all():
        raise SimcropError("not-finite", "its features are no numbers")
    return maps


def least_of(heat: Heat, threshold: float | None) -> float:
    """From which similarity on a voxel is of the region."""
    return float(heat.scores[-1]) if threshold is None else threshold


def write_dicom(
    out: Path,
    scan: Path,
    volume: Volume,
    sentences: Sequence[str],
    maps: HeatMaps,
    asked: GroundOptions,
    digest: str,
    thresholds: Sequence[float | None] | None = None,
) -> list[str]:
    """Of a DICOM series its results in DICOM, all of them or none; the note that says why there are none.
    `thresholds`: one for each sentence, where `asked` has none for all.
    """
    if not is_series(scan):
        return []
    thresholds = [asked.threshold] * len(sentences) if thresholds is None else thresholds
    sought = [
        Sought(
            sentence,
            mark_of(sentence),
            partial(maps.map, i),
            least_of(heat, threshold),
            float(heat.scores[0]),
            heat.boxes_mm[0],
        )
        for i, (sentence, heat, threshold) in enumerate(zip(sentences, maps, thresholds, strict=True))
    ]
    written = list[Path]()
    try:
        with naming(scan):
            for name, content in dicom_results(sought, volume.affine, series_headers(scan), digest):
                written.append(out / name)
                write_whole(out / name, content)
    except StoreError:
        raise
    except SimcropError as error:
        remove(written)
        return [f"no DICOM results: {error.sentence}"]
    return []


def remove(paths: Iterable[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
