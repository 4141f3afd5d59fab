"""What came of one case: refused with a reason, read as others read it, or a word for what must not be.

Axes: x, y, z as stored; HU, mm.
"""

import re
import tempfile
import warnings
from pathlib import Path

import numpy as np
from corpus import sound
from oracle import Seen, rows_of, seen_by_others
from scans import SECRET

from simcrop.data.ingest.streamed import read_resampled
from simcrop.data.layouts import list_studies
from simcrop.data.readers import find_scans, read_volume
from simcrop.data.resampling.plan import resample
from simcrop.data.volume import Volume
from simcrop.errors import SimcropError

NEW_MM = (28.0, 31.0, 37.0)
LONGEST_SENTENCE = 600
Verdict = dict[str, object]


def judge_scan(kind: str, path: Path, folder: Path) -> Verdict:
    find_scans(folder)
    try:
        volume = read_volume(path)
    except SimcropError as error:
        verdict = refused(error)
        try:
            read_resampled(path, NEW_MM)
        except SimcropError:
            return verdict
        return {"outcome": "disagree", "why": f"only read_volume says {error.reason}"}
    made, wanted = read_resampled(path, NEW_MM), resample(volume, NEW_MM)
    if not np.allclose(made.volume.hu, wanted.hu, atol=0.01, rtol=1e-6) or not np.allclose(
        made.volume.affine, wanted.affine
    ):
        return {"outcome": "disagree", "why": "read_resampled gives other numbers"}
    if not np.isfinite(volume.hu).all():
        return {"outcome": "wrong", "why": "HU are not finite"}
    return compared(kind, path, volume)


def compared(kind: str, path: Path, volume: Volume) -> Verdict:
    """Whether others read the same; or the mutation was in a field that does not matter."""
    why = ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            why = difference(seen_by_others(kind, path), volume)
    except Exception as error:  # noqa: BLE001 - others fail in ways of their own
        why = f"others fail: {type(error).__name__} {str(error)[:100]}"
    if not why:
        return {"outcome": "right"}
    with tempfile.TemporaryDirectory() as folder:
        before = read_volume(sound(kind).write(Path(folder)))
    if (
        before.shape == volume.shape
        and np.array_equal(before.hu, volume.hu)
        and np.allclose(before.affine, volume.affine)
    ):
        return {"outcome": "right", "unlike-others": why}
    return {"outcome": "wrong", "why": why}


def difference(seen: Seen, volume: Volume) -> str:
    """Empty where the volume is what others see, once rescaled as the file states or left as it is."""
    decision = volume.decision
    assert decision is not None
    if seen.values.shape != volume.shape:
        return f"shape {seen.values.shape}, read {volume.shape}"
    if seen.affine is not None and not np.allclose(seen.affine, volume.affine, rtol=1e-5, atol=1e-3):
        return f"affine {seen.affine.tolist()}, read {volume.affine.tolist()}"
    for slope, intercept in ((seen.slope, seen.intercept), (1.0, 0.0)):
        hu = seen.values * slope + intercept
        if decision.padding_hu is not None:
            hu[(hu < -1500) | (np.float32(hu) == np.float32(decision.padding_hu))] = -1000
        if np.allclose(hu, volume.hu, atol=0.01, rtol=1e-5):
            return ""
    return f"HU of {seen.values.ravel()[:3]} * {seen.slope} + {seen.intercept}, read {volume.hu.ravel(order='C')[:3]}"


def without_controls(text: str) -> str:
    """As a report is kept: a NUL stands for nothing, any other control character for a blank."""
    return re.sub(r"[\x01-\x08\x0e-\x1b\x1f\x7f]", " ", text.replace("\0", ""))


def judge_table(kind: str, path: Path, root: Path) -> Verdict:
    try:
        listing = list_studies(kind.removesuffix("-table"), root)
    except SimcropError as error:
        return refused(error)
    cells = (
        {without_controls(value) for row in rows_of(path) for value in row.values() if isinstance(value, str)}
        if path.suffix == ".csv"
        else set()
    )
    for study in listing.studies:
        for text in (study.findings, study.impression):
            if text and path.name.endswith("reports.csv") and text not in cells:
                return {"outcome": "wrong", "why": "a report that the table does not hold"}
    return {"outcome": "right"}


def refused(error: SimcropError) -> Verdict:
    if (
        len(error.sentence.splitlines()) != 1
        or not error.sentence.isprintable()
        or SECRET in error.sentence
        or len(error.sentence) > LONGEST_SENTENCE
    ):
        return {"outcome": "bad sentence", "why": error.sentence[:800]}
    return {"outcome": "refused", "reason": error.reason}


def judge_trap(path: Path, folder: Path) -> Verdict:
    """`outcome` is the reason of the refusal, `right`, or a word for what must not be."""
    find_scans(folder)
    outcomes: list[object] = []
    for resampled in (False, True):
        try:
            read_resampled(path, NEW_MM) if resampled else read_volume(path)
            outcomes.append("right")
        except SimcropError as error:
            verdict = refused(error)
            outcomes.append(verdict.get("reason", verdict["outcome"]))
    return {"outcome": outcomes[0] if outcomes[0] == outcomes[1] else str(outcomes)}
