"""Every scan of a split asked for its sentences, a file of numbers per scan, so that whoever is killed goes on.

Axes: q question, n patch, e features shared with texts.
"""

import io
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from jaxtyping import Float
from torch import Tensor, cat

from simcrop.data.samples.dataset import placement_of
from simcrop.data.store.cohort import Cohort, Study
from simcrop.engine.progress import Pace, show_progress
from simcrop.errors import SimcropError
from simcrop.evaluation.asking import encode_once
from simcrop.evaluation.features import AT_ONCE, middle_or_none, volumes_ahead
from simcrop.evaluation.grounding.answers import ScanAnswers, answers_of
from simcrop.evaluation.grounding.questions import GroundQuestion, ScanQuestions, denials
from simcrop.evaluation.sentence_scores import ENCODED
from simcrop.files.digest import digest_of_names
from simcrop.files.whole import write_whole, writing
from simcrop.model import Model

UNREADABLE = "unreadable-volume"
NAMES = [field.name for field in fields(ScanAnswers)]


@dataclass(frozen=True, eq=False)
class Answered:
    """By scan its questions and what came back; `refused`: ids of scans that could not be asked, and why."""

    scans: tuple[tuple[tuple[GroundQuestion, ...], ScanAnswers], ...]
    refused: dict[str, str]


def answer_all(
    models: tuple[Model, Model],
    studies: Cohort,
    asked: ScanQuestions,
    folder: Path,
    words: str,
    kept: Callable[[], None],
) -> Answered:
    """Of all scans with a question; `models`: the one that is judged, and its encoder before any training; `kept`: told
    of each scan whose answers are stored.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    wanted = [study for study in studies if study.id in asked.questions]
    todo = [study for study in wanted if read_answers(file_of(folder, study.id)) is None]
    refused: dict[str, str] = {}
    progress, pace = show_progress(words, quiet=5.0), Pace("scans")
    done = len(wanted) - len(todo)
    pace(done, len(wanted))
    # All of them, though some may be answered: what stands beside a text changes the last digits of its features.
    texts = encode_once(models[0], list(texts_of(wanted, asked))) if todo else {}
    for some, read, seen in looked_at(models, todo):
        refused |= {study.id: UNREADABLE for study in some if study.id not in {of.id for of in read}}
        for study, patches in zip(read, seen, strict=True):
            try:
                answers = ask_scan(models[0], study, asked, texts, patches)
            except SimcropError as error:
                refused[study.id] = error.reason
            else:
                write_answers(file_of(folder, study.id), answers)
                kept()
        done += len(some)
        progress(done, len(wanted), pace(done, len(wanted)))
    scans = [
        (asked.questions[study.id], answers)
        for study in wanted
        if (answers := read_answers(file_of(folder, study.id))) is not None
    ]
    return Answered(tuple(scans), refused)


def texts_of(studies: Iterable[Study], asked: ScanQuestions) -> Iterator[str]:
    """All that is asked of these scans."""
    for study in studies:
        yield from denials(study)
        for question in asked.questions[study.id]:
            yield question.text
            if question.swapped is not None:
                yield question.swapped


def looked_at(
    models: tuple[Model, Model], studies: Sequence[Study]
) -> Iterator[tuple[list[Study], list[Study], Iterator[tuple[np.ndarray, np.ndarray]]]]:
    """Pass after pass: the studies, those that can be read, and their patches `(n, e)` by both models."""
    passes = [list(studies[at : at + AT_ONCE]) for at in range(0, len(studies), AT_ONCE)]
    found = volumes_ahead(passes, models[0].spec, middle_or_none)
    for some, (read, volumes) in zip(passes, found, strict=True):
        seen = [regions(model, volumes) if read else np.zeros((0, 0, 0)) for model in models]
        yield some, read, zip(*seen, strict=True)


def regions(model: Model, volumes: Float[Tensor, "b 1 x y z"]) -> np.ndarray:
    """`(b, n, e)`, a few scans at a time."""
    return cat([model.regions_of(some).float().cpu() for some in volumes.split(ENCODED)]).numpy()


def ask_scan(
    model: Model,
    study: Study,
    asked: ScanQuestions,
    texts: dict[str, np.ndarray],
    patches: tuple[np.ndarray, np.ndarray],
) -> ScanAnswers:
    if not all(np.isfinite(of).all() for of in patches):
        raise SimcropError("not-finite", "its features are no numbers")
    questions = asked.questions[study.id]
    mask = asked.mask(study) if any(question.values for question in questions) else None
    placement = placement_of(study, model.spec)
    return answers_of(questions, denials(study), texts, patches, mask, placement, model.grid, model.scored)


def file_of(folder: Path, study: str) -> Path:
    """Named by a digest: an id may be a name."""
    return folder / f"{digest_of_names([study])[:32]}.npz"


def write_answers(path: Path, answers: ScanAnswers) -> None:
    """Whole or not at all."""
    content = io.BytesIO()
    np.savez_compressed(content, **vars(answers))
    write_whole(path, content.getvalue())


def read_answers(path: Path) -> ScanAnswers | None:
    """None where there is no sound file."""
    if not path.is_file():
        return None
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            return ScanAnswers(**{name: file[name] for name in NAMES})
    except (OSError, ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error):
        return None
