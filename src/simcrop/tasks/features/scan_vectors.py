"""Vectors of many scans, kept as they are made: whoever is killed goes on with the pass that was in work.

Axes: s scan, d features. Passes are always the same, so that a run in two parts gives the bits of one in one.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path

import numpy as np

from simcrop.engine.progress import Pace, Progress
from simcrop.evaluation.features import AT_ONCE
from simcrop.files.vectors import append_vectors, read_vectors
from simcrop.files.whole import StoreError

# Places of scans in, and in any order the same places with a vector `(d,)` for each.
Embedding = Callable[[list[range]], Iterable[tuple[range, np.ndarray]]]


def kept_vectors(
    embedding: Embedding,
    names: Sequence[str],
    path: Path,
    progress: Progress,
    must_keep: bool = True,
    unit: str = "scans",
) -> np.ndarray:
    """Float32 `(s, d)` in the order of `names`: what `path` holds of them, and what is made now and added there.

    Unless it `must_keep` them, a place that cannot be written keeps none.
    """
    found = read_vectors(path, names)
    known = found.known & ~np.isnan(found.vectors).any(1)  # no numbers: a scan that could not be read
    vectors, passes = found.vectors, list(passes_to_do(known))
    done, pace = len(names) - sum(map(len, passes)), Pace(unit)
    pace(done, len(names))
    for places, some in embedding(passes):
        if vectors.shape[1] != some.shape[1]:
            vectors = np.zeros((len(names), some.shape[1]), dtype=np.float32)
        vectors[places.start : places.stop] = some
        with nullcontext() if must_keep else suppress(StoreError, OSError):
            path.parent.mkdir(exist_ok=True)
            append_vectors(path, [names[place] for place in places], some)
        done += len(places)
        progress(done, len(names), pace(done, len(names)))
    return vectors


def passes_to_do(known: np.ndarray) -> Iterator[range]:
    """Those in which a scan is not known."""
    for start in range(0, len(known), AT_ONCE):
        places = range(start, min(start + AT_ONCE, len(known)))
        if not known[places.start : places.stop].all():
            yield places
