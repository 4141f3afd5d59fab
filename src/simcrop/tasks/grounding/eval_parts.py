"""Which scans `simcrop ground-eval` judges, which ones the usual maps and the thresholds come of, and what is asked of
each.

No axes or units.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from simcrop.data.store.cohort import Cohort, Study, open_cohort
from simcrop.data.store.findings import MarkedFinding, read_findings
from simcrop.data.store.format import FINDINGS
from simcrop.errors import SimcropError
from simcrop.evaluation.grounding.questions import (
    ScanQuestions,
    asked_of_findings,
    asked_of_rows,
    asked_of_truth,
    read_rows,
)
from simcrop.evaluation.truth import Truth
from simcrop.files.digest import digest_of_files, digest_of_names
from simcrop.files.embeddings import bare
from simcrop.phantom.truth import Truth as PhantomTruth
from simcrop.tasks.auditing.audit import truth_beside
from simcrop.tasks.labelled import refuse_shared_patients, rows_in, studies_of

Findings = Mapping[str, Sequence[MarkedFinding]]
PRIOR_SCANS = 400  # of the training split, from which the usual map of each kind is taken


@dataclass(frozen=True)
class GroundEvalOptions:
    """`split` is judged; thresholds come of `choose`, the usual maps of `train`, which are splits of `train_cohort`
    where that is given; `sentences`: a table of one's own.
    """

    split: str = "valid"
    train: str = "train"
    choose: str | None = None
    truth: Path | None = None
    sentences: Path | None = None
    top_k: int | None = None
    seed: int = 0
    train_cohort: Path | None = None


@dataclass(frozen=True, eq=False)
class Part:
    """Scans of one split of `cohort`, and what is asked of them."""

    cohort: Cohort
    studies: Cohort
    asked: ScanQuestions

    def rows(self) -> dict[str, int]:
        """Where each scan stands in the cohort's index, by its id."""
        rows = rows_in(self.cohort, self.studies)
        return dict(zip(self.studies.index["id"], rows.tolist(), strict=True))


@dataclass(frozen=True, eq=False)
class Parts:
    """The three splits. `truth`: whether it is a truth that knows where things lie in the judged scans; `tells_all`:
    whether that knows of everything in them; `strangers`: rows of the table about scans that are not in the cohort;
    `elsewhere`: which other cohort is learned from, for `run.json`.
    """

    judged: Part
    train: Part
    choose: Part | None
    truth: bool
    tells_all: bool
    strangers: int
    elsewhere: dict[str, str]

    @property
    def digest(self) -> str:
        """Of all that is asked and of what is known of it."""
        return digest_of_names(
            f"{name} {question}"
            for name, part in self.named().items()
            for own in part.asked.questions.values()
            for question in own
        )

    @property
    def masks(self) -> dict[str, str]:
        """For `run.json`: of the masks that no cohort holds, and whose change its digest does not tell."""
        found = [
            f"{name} {study} {digest_of_files(path) if path.is_file() else ''}"
            for name, part in self.named().items()
            if part.asked.lies_at is not None
            for study in part.asked.questions
            for path in [part.asked.lies_at(study)]
        ]
        return {"masks": digest_of_names(found)} if found else {}

    def named(self) -> dict[str, Part]:
        found = {"judged": self.judged, "train": self.train}
        return found if self.choose is None else found | {"choose": self.choose}


@dataclass(frozen=True, eq=False)
class Known:
    """Where it stands what lies where: in a table of one's own, in a truth, in what a data set marks, or nowhere."""

    rows: Sequence[Mapping[str, Any]] | None
    truth: Truth | None = None
    findings: Findings | None = None

    @classmethod
    def of(cls, cohort: Cohort, studies: Cohort, table: Path | None, truth: Path | None) -> "Known":
        """What is told goes before what the cohort marks itself, and that before a truth beside it."""
        if table is None and truth is None and (cohort.path / FINDINGS).is_file():
            return cls(None, findings=read_findings(cohort))
        if table is None:
            return cls(None, truth_beside(studies, truth))
        return cls([row | {"scan": bare(row["scan"])} for row in read_rows(table)])

    @property
    def tells_all(self) -> bool:
        """Whether what it does not speak of is not there."""
        return self.truth is not None and (not isinstance(self.truth, PhantomTruth) or self.truth.tells_all)

    def strangers(self, cohort: Cohort) -> int:
        """Rows about scans that the cohort does not hold."""
        there = set(cohort.index["id"])
        return sum(row["scan"] not in there for row in self.rows or ())

    def ask(self, cohort: Cohort, studies: Cohort, seed: int) -> Part:
        return Part(cohort, studies, self.asked(studies, seed))

    def asked(self, studies: Cohort, seed: int) -> ScanQuestions:
        if self.rows is not None:
            return asked_of_rows(studies, self.rows, seed)
        if self.findings is not None:
            return asked_of_findings(studies, self.findings, seed)
        return (
            asked_of_truth(studies, self.truth, seed) if self.truth else ScanQuestions({}, Study.source_mask)
        )


def parts_of(cohort: Cohort, options: GroundEvalOptions) -> Parts:
    """Splits that share no patient, and their sentences."""
    learned = open_cohort(options.train_cohort) if options.train_cohort else cohort
    refuse_same_split(cohort, learned, options)
    studies = studies_of(cohort, options.split)
    known = Known.of(cohort, studies, options.sentences, options.truth)
    judged = known.ask(cohort, studies, options.seed)
    if not len(judged.asked):
        raise SimcropError(
            "nothing-to-point-at",
            f"{cohort.path}: nothing is known of where sentences of split {options.split!r} lie; give --truth, what "
            "`simcrop phantom` wrote, or --sentences, a table of scan, sentence and value in the mask",
        )
    elsewhere = Known.of(learned, learned, None, None) if options.train_cohort else known
    training = some_of(learned.select(options.train), PRIOR_SCANS, options.seed)
    refuse_shared_patients(training, studies, f"splits {options.train!r} and {options.split!r} share")
    choose = None
    if options.choose:
        choosing = studies_of(learned, options.choose)
        refuse_shared_patients(choosing, studies, f"splits {options.choose!r} and {options.split!r} share")
        choose = elsewhere.ask(learned, choosing, options.seed + 1)
        refuse_unchoosable(choose, options.choose)
    return Parts(
        judged,
        elsewhere.ask(learned, training, options.seed + 2),
        choose,
        known.truth is not None,
        known.tells_all,
        known.strangers(cohort),
        {"train_cohort": learned.digest} if options.train_cohort else {},
    )


def refuse_same_split(cohort: Cohort, learned: Cohort, options: GroundEvalOptions) -> None:
    if learned.path.resolve() == cohort.path.resolve() and options.choose == options.split:
        raise SimcropError(
            "bad-setting",
            f"--choose {options.choose}: a threshold must not be chosen on the split that is judged; name another",
        )


def refuse_unchoosable(choose: Part, split: str) -> None:
    """A threshold is chosen by Dice, which marks that are not complete do not tell."""
    if not any(question.complete for own in choose.asked.questions.values() for question in own):
        raise SimcropError(
            "nothing-to-point-at",
            f"{choose.cohort.path}: no sentence of split {split!r} has all that it names marked, and a threshold "
            "cannot be chosen by others; leave --choose out or name another split",
        )


def some_of(studies: Cohort, most: int, seed: int) -> Cohort:
    """So many drawn scans of a large split."""
    if len(studies) <= most:
        return studies
    return studies.keep(sorted(np.random.default_rng((seed, 7)).permutation(len(studies))[:most].tolist()))
