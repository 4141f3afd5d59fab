"""All tokens of the scans of a cohort, kept on disk: encoded once, and read as a head asks for them.

Axes: s scan, n token, d features.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from simcrop.data.store.cohort import Cohort
from simcrop.data.store.format import FEATURES
from simcrop.engine.progress import Pace, Progress, show_progress
from simcrop.errors import SimcropError
from simcrop.evaluation.features import AT_ONCE, volumes_ahead
from simcrop.evaluation.heads.tokens import Tokens
from simcrop.files.embeddings import bare, files_of, read_file
from simcrop.files.token_file import append_tokens, mapped, record_of, sound
from simcrop.files.vectors import digest_of
from simcrop.model import Model, load
from simcrop.stderr import write_line
from simcrop.tasks.features.cohort_features import model_digest, untrained

QUIET = 5.0  # seconds in which nothing is said


def kept_tokens(folder: Path, cohort: Cohort, rows: np.ndarray, random_seed: int | None = None) -> Tokens:
    """Of the scans in `rows` of the cohort; those that its `features/` lack are encoded and added there.

    `random_seed`: of the same encoder as it was before training, drawn with that seed.
    """
    model = load(folder) if random_seed is None else untrained(load(folder), random_seed)
    digest = model_digest(folder) + ("" if random_seed is None else f" untrained {random_seed}")
    suffix = "" if random_seed is None else f"-untrained-{random_seed}"
    path = cohort.path / FEATURES / f"{digest[:12]}{suffix}.tokens"
    n, d = model.grid.count, model.vision.width
    made_of = zip(*(cohort.index[column].to_list() for column in ("id", "checksum", "affine")), strict=True)
    names = [f"{digest} {study}" for study in made_of]
    known = sound(mapped(path, n, d), checking())
    missing = [int(row) for row in rows if digest_of(names[row]) not in known]
    if missing:
        announce(path, len(missing), n, d)
        add(model, cohort, missing, names, path, show_progress("tokens", quiet=QUIET))
        known = sound(mapped(path, n, d), checking())
    records = mapped(path, n, d)
    places = np.full(len(names), -1)
    places[rows] = [known[digest_of(names[row])] for row in rows]
    return Tokens(lambda row: records[places[row]]["tokens"], np.arange(len(names)), d)


def announce(path: Path, scans: int, n: int, d: int) -> None:
    """What it costs, before it starts; refused where that does not fit on the disk."""
    size = scans * record_of(n, d).itemsize
    write_line(
        f"keeping the tokens of {scans} scans, {n} x {d} each in float16: {size / 1e9:.3g} GB in {path}"
    )
    above = next(folder for folder in path.parents if folder.is_dir())
    free = shutil.disk_usage(above).free
    if size > free:
        raise SimcropError(
            "disk-full",
            f"{above} has {free / 1e9:.3g} GB free and the tokens take {size / 1e9:.3g} GB; --head linear does without",
        )


def add(
    model: Model, cohort: Cohort, missing: Sequence[int], names: Sequence[str], path: Path, progress: Progress
) -> None:
    """Some scans at a time; what is there stays when the work is interrupted."""
    passes = [missing[start : start + AT_ONCE] for start in range(0, len(missing), AT_ONCE)]
    done, pace = 0, Pace("scans")
    pace(done, len(missing))
    for places, tokens in zip(passes, encoded(model, cohort, passes), strict=True):
        append_tokens(path, [names[place] for place in places], tokens)
        done += len(places)
        progress(done, len(missing), pace(done, len(missing)))


def encoded(model: Model, cohort: Cohort, passes: Sequence[Sequence[int]]) -> Iterator[np.ndarray]:
    """Float16 tokens of each pass."""
    studies = ([cohort[place] for place in places] for places in passes)
    for _, volumes in volumes_ahead(studies, model.spec):
        tokens = model.features_of(volumes).half().cpu().numpy()
        if not np.isfinite(tokens).all():
            raise SimcropError(
                "not-finite", "the tokens hold values that float16 cannot say; the model is broken"
            )
        yield tokens


def checking() -> Callable[[int, int], None]:
    """Of the passage over what is kept already."""
    shown, pace = show_progress("checking tokens", quiet=QUIET), Pace("scans")

    def tell(done: int, total: int) -> None:
        shown(done, total, pace(done, total))

    return tell


def tokens_in_files(path: Path, cohort: Cohort, rows: np.ndarray) -> Tokens:
    """Of features that were made elsewhere, several vectors for each scan, joined by id; every file is looked at
    once beforehand.
    """
    if path.is_file():
        raise pooled_already(path)
    place = {bare(name): file for name, file in files_of(path)}
    ids = cohort.index["id"].to_list()
    missing = [ids[row] for row in rows if ids[row] not in place]
    if missing:
        raise SimcropError(
            "other-ids", f"{path} lacks {len(missing)} of {len(rows)} scans: {missing[0]}, ..."
        )
    widths, longest, tell = set[int](), 0, checking()
    for done, row in enumerate(rows, 1):
        tokens = tokens_of(place[ids[row]])
        if not np.isfinite(tokens).all():
            raise SimcropError("not-finite", f"{path} has numbers that are none (NaN or infinite)")
        widths.add(tokens.shape[1])
        longest = max(longest, len(tokens))
        tell(done, len(rows))
    if longest < 2:
        raise pooled_already(path)
    if len(widths) > 1:
        raise SimcropError(
            "bad-features", f"{path} has vectors of several widths: {', '.join(map(str, sorted(widths)))}"
        )
    return Tokens(lambda row: tokens_of(place[ids[row]]), np.arange(len(ids)), widths.pop())


def tokens_of(file: Path) -> np.ndarray:
    """`(n, d)`."""
    found = read_file(file)
    if not np.issubdtype(found.dtype, np.number) or found.size == 0 or found.ndim not in {1, 2, 3}:
        raise SimcropError(
            "bad-features", f"{file} holds no vectors of numbers, but {found.dtype} {found.shape}"
        )
    return found.reshape(-1, found.shape[-1])


def pooled_already(path: Path) -> SimcropError:
    return SimcropError(
        "bad-features",
        f"--head attention wants several vectors of each scan, and {path} holds one; --head linear reads it",
    )
