"""Reads every case of the corpus in a process of its own, with a limit on memory and an alarm, and says what came of it.

`python judge.py FIRST COUNT LEFT_OUT...` writes one JSON line when a case begins and one when it has ended. HU, mm.
"""

import json
import resource
import shutil
import signal
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
from corpus import TABLES, cases, sound, write_case
from oracle import Seen, rows_of, seen_by_others
from scans import SECRET

from simcrop.data.layouts import list_studies
from simcrop.data.readers import find_scans, read_volume
from simcrop.data.readers.resampled import read_resampled
from simcrop.data.resample import resample
from simcrop.data.volume import Volume
from simcrop.errors import SimcropError

SECONDS = 10
MEMORY = 2 << 30
NEW_MM = (28.0, 31.0, 37.0)
Verdict = dict[str, object]


class TooSlowError(BaseException):
    """Passes every `except Exception`."""


def ring(*_: object) -> None:
    raise TooSlowError


def limit_memory() -> None:
    """From here on at most 2 GiB more than what is loaded."""
    loaded = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (loaded + MEMORY, loaded + MEMORY))


def judge(kind: str, number: int, folder: Path) -> Verdict:
    """`outcome` is right, refused, or a word for what must not be."""
    path = write_case(kind, number, folder)
    begun = time.monotonic()
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        verdict = judge_table(kind, path, folder) if kind in TABLES else judge_scan(kind, path, folder)
    except TooSlowError:
        verdict = {"outcome": "slow"}
    except MemoryError:
        verdict = {"outcome": "memory"}
    except Exception as error:  # noqa: BLE001 - whatever a reader lets through is what we look for
        tb = error.__traceback__
        while tb is not None and tb.tb_next is not None:
            tb = tb.tb_next
        at = f"{Path(tb.tb_frame.f_code.co_filename).name}:{tb.tb_lineno}" if tb else ""
        verdict = {"outcome": "crash", "why": f"{type(error).__name__} at {at}: {str(error)[:200]}"}
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return verdict | {"seconds": round(time.monotonic() - begun, 3)}


def judge_scan(kind: str, path: Path, folder: Path) -> Verdict:
    find_scans(folder)
    try:
        volume = read_volume(path)
    except SimcropError as error:
        verdict = refused(error)
        try:
            read_resampled(path, NEW_MM)
        except SimcropError as again:
            same = again.reason == error.reason
            return verdict if same else {"outcome": "disagree", "why": f"{error.reason} {again.reason}"}
        return {"outcome": "disagree", "why": f"only read_volume says {error.reason}"}
    made, wanted = read_resampled(path, NEW_MM), resample(volume, NEW_MM)
    if not np.allclose(made.volume.hu, wanted.hu, atol=0.01, rtol=1e-6) or not np.allclose(made.volume.affine, wanted.affine):
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
    if before.shape == volume.shape and np.array_equal(before.hu, volume.hu) and np.allclose(before.affine, volume.affine):
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


def judge_table(kind: str, path: Path, root: Path) -> Verdict:
    try:
        listing = list_studies(kind.removesuffix("-table"), root)
    except SimcropError as error:
        return refused(error)
    said = {value for row in rows_of(path) for value in row.values() if isinstance(value, str)} if path.suffix == ".csv" else set()
    for study in listing.studies:
        for text in (study.findings, study.impression):
            if text and path.name.endswith("reports.csv") and text not in said:
                return {"outcome": "wrong", "why": "a report that the table does not hold"}
    return {"outcome": "right"}


def refused(error: SimcropError) -> Verdict:
    if len(error.sentence.splitlines()) != 1 or SECRET in error.sentence or len(error.sentence) > 600:
        return {"outcome": "bad sentence", "why": error.sentence[:800]}
    return {"outcome": "refused", "reason": error.reason}


def main(first: int, count: int, *left_out: str) -> None:
    warnings.simplefilter("error")
    signal.signal(signal.SIGALRM, ring)
    limited = False
    with tempfile.TemporaryDirectory() as home:
        for i, (kind, number) in enumerate(cases(count)):
            if i < first or f"{kind}/{number}" in left_out:
                continue
            sys.stdout.write(json.dumps({"case": f"{kind}/{number}", "number": i}) + "\n")
            sys.stdout.flush()
            folder = Path(home) / str(i)
            folder.mkdir()
            verdict = judge(kind, number, folder)
            sys.stdout.write(json.dumps({"case": f"{kind}/{number}", "number": i} | verdict) + "\n")
            shutil.rmtree(folder)
            if not limited and i > first + 25:  # every library is loaded by now
                limit_memory()
                limited = True


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:])
