"""`simcrop retrieve`: reports, sentences and scans that look for one another, by a model or by vectors of others.

Axes: r report, s scan, q sentence.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from simcrop.data.store.cohort import Cohort, open_cohort
from simcrop.errors import SimcropError
from simcrop.files.digest import digest_of_names
from simcrop.tasks.features.source import FeatureSource, FromFiles, FromModel, source_of
from simcrop.tasks.folder import staged, write_metrics
from simcrop.tasks.labelled import patients_of, studies_of
from simcrop.tasks.retrieval.fits import (
    MOST_SENTENCES,
    Fits,
    fits_by_model,
    fits_by_vectors,
    texts_of,
    texts_of_files,
    typed_scores,
    with_text,
)
from simcrop.tasks.retrieval.judged import Found, between, of_sentences, scans_alike
from simcrop.tasks.retrieval.page import RANKS, TYPED, figures, write_page, write_ranks, write_typed

TEXTS = ("findings", "impression", "report")
TOP = 100  # scans that are listed for a typed sentence


@dataclass(frozen=True)
class RetrieveOptions:
    """What is asked of whom. `texts`: vectors of reports, for features made elsewhere; `typed`: sentences of the user;
    `sentences`: at most so many of the reports' own are asked alone.
    """

    split: str = "valid"
    text: str = "findings"
    top_k: int | None = None
    seed: int = 0
    texts: Path | None = None
    typed: tuple[str, ...] = ()
    sentences: int = MOST_SENTENCES


def retrieve(
    model: str,
    cohort_path: Path,
    out: Path,
    options: RetrieveOptions | None = None,
    overwrite: bool = False,
) -> list[Found]:
    """`metrics.json`, `ranks.parquet` and `report.html`. Raises SimcropError of a method that reads no sentences."""
    options = options or RetrieveOptions()
    if options.text not in TEXTS:
        raise SimcropError(
            "bad-setting", f"--text wants findings, impression or report, got {options.text!r}"
        )
    cohort = open_cohort(cohort_path)
    source = source_of(model, "mean")
    refuse_what_has_no_words(source, options)
    every = studies_of(cohort, options.split)
    asked = asked_of(source, every, cohort_path, options)
    note = source.note(cohort, every)
    settings = {
        "model": source.digest,
        "cohort": cohort.digest,
        **{name: value for name, value in asdict(options).items() if name not in {"texts", "typed"}},
        "texts": str(options.texts) if options.texts else None,
        "typed": len(options.typed),  # their words stay private
    }
    with staged(out, "retrieve", settings, overwrite) as stage:
        fits = fits_of(source, asked, options)
        found = [*questions(fits, asked, options)]
        alike = scans_alike(source.rows(every, "mean"), every, options.seed)
        if not found and not alike:
            raise SimcropError(
                "nothing-to-judge",
                f"nothing to look for: {cohort_path} has no labels that two scans of split {options.split!r} share, "
                "and there are no vectors of reports",
            )
        top = typed_top(source, every, options)
        facts = facts_of(fits, source, cohort, every, asked, options, note)
        write_metrics(stage, figures(found, alike, facts))
        write_ranks(stage / RANKS, found, alike)
        if top:
            write_typed(stage / TYPED, top)
        typed = list(zip(options.typed, top, strict=True))
        write_page(stage / "report.html", found, alike, lead(fits, options, note), typed)
    return found


def refuse_what_has_no_words(source: FeatureSource, options: RetrieveOptions) -> None:
    """Said before any work."""
    if isinstance(source, FromModel) and options.texts is not None:
        raise SimcropError(
            "bad-setting", "--texts is for features made elsewhere; a model reads the reports itself"
        )
    if isinstance(source, FromFiles) and options.typed:
        raise SimcropError("bad-setting", "--sentence wants a model that reads it; features cannot")
    if any(not words.strip() for words in options.typed):
        raise SimcropError("empty-sentence", "--sentence is empty; give a sentence to look for")


def asked_of(source: FeatureSource, every: Cohort, path: Path, options: RetrieveOptions) -> Cohort:
    """The studies of the split that have a text; of features made elsewhere all, where texts are not at hand."""
    asked = with_text(every, options.text)
    if len(asked) < 2 and isinstance(source, FromFiles):
        asked = every
    if len(asked) < 2:
        what = f" with {options.text}" if isinstance(source, FromModel) else ""
        raise SimcropError("no-studies", f"{path}: split {options.split!r} has fewer than two studies{what}")
    return asked


def fits_of(source: FeatureSource, asked: Cohort, options: RetrieveOptions) -> Fits:
    """By whatever there is."""
    if isinstance(source, FromModel):
        texts = texts_of(asked, options.text)
        return fits_by_model(source, asked, texts, options.top_k, options.sentences, options.seed)
    assert isinstance(source, FromFiles)
    return fits_by_vectors(source, *texts_of_files(source.path, options.texts), asked)


def questions(fits: Fits, asked: Cohort, options: RetrieveOptions) -> Iterator[Found]:
    """All that can be asked in words."""
    if fits.reports is not None:
        yield from between(fits.reports, asked, texts_of(asked, options.text), options.seed)
    if (alone := fits.sentences) is not None:
        yield from of_sentences(alone.scores, alone.holds, alone.asked, asked, options.seed)


def typed_top(
    source: FeatureSource, studies: Cohort, options: RetrieveOptions
) -> list[list[tuple[str, float]]]:
    """For every typed sentence the scans that fit it best: id and score."""
    if not options.typed or not isinstance(source, FromModel):
        return []
    ids = studies.index["id"].to_list()
    return [
        [(ids[row], float(scores[row])) for row in np.argsort(-scores, kind="stable")[:TOP]]
        for scores in typed_scores(source, studies, options.typed, options.top_k)
    ]


def facts_of(
    fits: Fits,
    source: FeatureSource,
    cohort: Cohort,
    every: Cohort,
    asked: Cohort,
    options: RetrieveOptions,
    note: str,
) -> dict[str, Any]:
    """What was asked of whom."""
    patients, alone = patients_of(asked), fits.sentences
    return {
        "top_k": fits.k,
        **{name: getattr(options, name) for name in ("split", "text", "seed")},
        "sentences": {"distinct": alone.distinct, "asked": len(alone.asked)} if alone else None,
        "scans": len(patients),
        "scans_of_split": len(every),
        "patients": len(set(patients)),
        "split_hash": digest_of_names(patients),
        "unmatched": source.unmatched(cohort),
        "note": note,
    }


def lead(fits: Fits, options: RetrieveOptions, note: str) -> str:
    """What the page is about."""
    alone = ""
    if fits.sentences is not None:
        asked, distinct = len(fits.sentences.asked), fits.sentences.distinct
        drawn = f", {asked} of them drawn with seed {options.seed}," if asked < distinct else ""
        alone = (
            f" Of the reports' own {distinct} distinct sentences each{drawn} looks for the scans whose reports "
            "hold it."
        )
    return (
        f"Which scan a report is of, and which report a scan has; the text is the {options.text}. {fits.how}{alone} "
        f"{note[0].upper()}{note[1:]}."
    )
