"""`simcrop probe`: what a linear head reads from a frozen encoder, per label, with intervals by patient.

Axes: k repetition (seed), s scan, d features, l label.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from simcrop.data.split import some_patients
from simcrop.data.store.cohort import Cohort, open_cohort
from simcrop.errors import SimcropError
from simcrop.evaluation.features import POOLS
from simcrop.evaluation.judgement import Judgement, judge
from simcrop.evaluation.probe import Probe, fit_probe
from simcrop.evaluation.subgroups import Subgroup, subgroups
from simcrop.evaluation.views import VIEWS
from simcrop.files.digest import digest_of_files, digest_of_names
from simcrop.tasks.augmented_views import drawn_with_views, refuse_views, rows_with_views, with_views
from simcrop.tasks.columns import column_of
from simcrop.tasks.feature_source import source_of
from simcrop.tasks.folder import staged, write_metrics
from simcrop.tasks.labelled import (
    label_matrix,
    labelled,
    patients_of,
    refuse_poor_share,
    refuse_shared_patients,
    refuse_unvarying,
    rows_in,
)
from simcrop.tasks.probe_figures import PREDICTIONS, block, group_rows, without_nan, write_predictions
from simcrop.tasks.probe_heads import HEADS, save_heads
from simcrop.tasks.probe_page import write_probe_page

FREQUENCY, RANDOM = "label frequency", "random start"


@dataclass(frozen=True)
class ProbeOptions:
    """`shares` of the training patients, each with as many `seeds` from `seed` on; splits to learn from and to judge
    by; `by`: columns whose groups are judged apart, in the cohort or in the CSV `table`; `baselines`: a random start,
    too; `views`: of each training scan, the first as it is, the others augmented.
    """

    shares: tuple[float, ...] = (1.0,)
    seeds: int = 1
    seed: int = 0
    train: str = "train"
    test: str = "valid"
    pool: str = "mean"
    by: tuple[str, ...] = ()
    table: Path | None = field(default=None)
    baselines: bool = True
    views: int = 1

    @property
    def every_seed(self) -> range:
        return range(self.seed, self.seed + self.seeds)


@dataclass(frozen=True, eq=False)
class Repeated:
    """What one share reached: a probe per seed, their `scores` `(k, s, l)` of the test scans, and what these are
    worth.
    """

    probes: tuple[Probe, ...]
    scores: np.ndarray
    judgement: Judgement

    @property
    def thresholds(self) -> np.ndarray:
        """`(k, l)`."""
        return np.stack([probe.thresholds for probe in self.probes])


@dataclass(frozen=True, eq=False)
class Sides:
    """Labels and patients of the training and of the test scans, and where these stand in the cohort."""

    names: list[str]
    training: Cohort
    testing: Cohort
    rows: np.ndarray
    test_rows: np.ndarray
    truth: np.ndarray
    test_truth: np.ndarray
    patients: np.ndarray
    test_patients: np.ndarray


def probe(
    model: str, cohort_path: Path, out: Path, options: ProbeOptions | None = None, overwrite: bool = False
) -> dict[float, Repeated]:
    """Fit on shares of the patients of one split, judge on another: `metrics.json`, `predictions.parquet`, a page."""
    options = options or ProbeOptions()
    if options.pool not in POOLS:
        raise SimcropError("bad-setting", f"--pool wants mean or max, got {options.pool!r}")
    if options.seeds < 1 or not options.shares:
        raise SimcropError("bad-setting", "--seeds wants at least one, and --share at least one share")
    source, cohort = source_of(model, options.pool), open_cohort(cohort_path)
    refuse_views(options.views, source)
    sides = both_sides(cohort, options.train, options.test)
    note = source.note(cohort, sides.testing)
    drawn = {
        (share, seed): some_patients(sides.patients, share, seed)
        for share in options.shares
        for seed in options.every_seed
    }
    for (share, seed), rows in drawn.items():
        refuse_poor_share(sides.truth, rows, sides.patients, sides.names, share, seed)
    columns = [column_of(sides.testing, name, options.table) for name in options.by]
    settings = {
        "model": source.digest,
        "cohort": digest_of_files(cohort_path / "studies.parquet"),
        **asdict(options),
        "head": "logistic",
    }
    with staged(out, "probe", settings, overwrite) as stage:
        known = rows_with_views(len(cohort), sides.rows, sides.truth, sides.patients, options.views)
        seen, drawn_seen = replace(sides, **known), drawn_with_views(drawn, options.views)
        features = source.rows(cohort, options.pool)
        features = with_views(features, source, cohort, sides.rows, options.pool, options.views)
        found = {share: repeated(features, seen, drawn_seen, share, options) for share in options.shares}
        best = found[max(found)]
        others: dict[str, Judgement] = {FREQUENCY: judged_by_frequency(sides, options.seed)}
        blind = source.random_rows(cohort, options.pool, options.seed) if options.baselines else None
        if blind is not None:
            blind = with_views(blind, source, cohort, sides.rows, options.pool, options.views, options.seed)
            others[RANDOM] = repeated(blind, seen, drawn_seen, max(found), options).judgement
        groups = [
            group
            for column in columns
            for group in subgroups(
                column,
                best.scores,
                sides.test_truth,
                best.thresholds,
                sides.test_patients,
                sides.names,
                options.seed,
            )
        ]
        metrics = figures(found, others, groups, sides, drawn, settings, note)
        write_metrics(stage, metrics | {"unmatched": source.unmatched(cohort)})
        scores = {share: of_share.scores for share, of_share in found.items()}
        seeds, names = options.every_seed, sides.names
        write_predictions(stage / PREDICTIONS, sides.testing, scores, seeds, sides.test_truth, names)
        heads = {share: of_share.probes for share, of_share in found.items()}
        save_heads(stage / HEADS, heads, names, settings, str(Path(model).resolve()))
        judgements = {share: of_share.judgement for share, of_share in found.items()}
        write_probe_page(stage, judgements, others, groups, best.scores, sides.test_truth, sides.names, note)
    return found


def both_sides(cohort: Cohort, train: str, test: str) -> Sides:
    """What can be learned from and judged by; refused where that would be dishonest, or nothing."""
    training, testing = labelled(cohort, train), labelled(cohort, test)
    refuse_shared_patients(training, testing, f"splits {train!r} and {test!r} share")
    truth, test_truth = label_matrix(training), label_matrix(testing)
    refuse_unvarying(truth, test_truth, train, test)
    rows = rows_in(cohort, training), rows_in(cohort, testing)
    patients = patients_of(training), patients_of(testing)
    return Sides(cohort.labels, training, testing, *rows, truth, test_truth, *patients)


def repeated(
    features: np.ndarray,
    sides: Sides,
    drawn: dict[tuple[float, int], np.ndarray],
    share: float,
    options: ProbeOptions,
) -> Repeated:
    """A probe per seed on that seed's patients; view, penalty and thresholds are chosen among these alone."""
    known, unseen = features[sides.rows], features[sides.test_rows]
    probes = tuple(
        fit_probe(known[rows], sides.truth[rows], sides.patients[rows], seed, views=VIEWS)
        for seed, rows in ((seed, drawn[share, seed]) for seed in options.every_seed)
    )
    scores = np.stack([each.scores(unseen) for each in probes])
    thresholds = np.stack([each.thresholds for each in probes])
    judged = judge(scores, sides.test_truth, thresholds, sides.test_patients, sides.names, options.seed)
    return Repeated(probes, scores, judged)


def judged_by_frequency(sides: Sides, seed: int) -> Judgement:
    """Whoever says of every scan how frequent each label is among the training scans: AUROC .5, by definition."""
    known = ~np.isnan(sides.truth)
    frequency = np.where(known, sides.truth, 0).sum(0) / np.maximum(known.sum(0), 1)
    scores = np.tile(frequency, (1, len(sides.test_truth), 1))
    never = np.full((1, len(frequency)), 0.5)
    return judge(scores, sides.test_truth, never, sides.test_patients, sides.names, seed)


def figures(
    found: dict[float, Repeated],
    others: dict[str, Judgement],
    groups: Sequence[Subgroup],
    sides: Sides,
    drawn: dict[tuple[float, int], np.ndarray],
    settings: dict[str, Any],
    note: str,
) -> dict[str, Any]:
    """`metrics.json`: the figures of the largest share, those of each share, and of whom; not defined is null."""
    people = {"train": sides.patients, "test": sides.test_patients}
    return without_nan(
        {
            **block(found[max(found)].judgement),
            "shares": {
                f"{share:g}": {
                    **block(of_share.judgement),
                    "probes": [
                        {
                            "seed": seed,
                            "strength": each.strength,
                            "view": each.scaling.view,
                            "held_out_auroc": each.held_out_auroc,
                            "scans": int(drawn[share, seed].sum()),
                            "patients": len(set(sides.patients[drawn[share, seed]])),
                            "split_hash": digest_of_names(sides.patients[drawn[share, seed]]),
                        }
                        for seed, each in zip(seeds_of(settings), of_share.probes, strict=True)
                    ],
                }
                for share, of_share in found.items()
            },
            "baselines": {name: block(judged) for name, judged in others.items()},
            "by": group_rows(groups),
            "scans": {name: len(patients) for name, patients in people.items()},
            "patients": {name: len(set(patients)) for name, patients in people.items()},
            "split_hash": {name: digest_of_names(patients) for name, patients in people.items()},
            **{name: settings[name] for name in ("seed", "seeds", "pool", "head", "views")},
            "note": note,
        }
    )


def seeds_of(settings: dict[str, Any]) -> range:
    return range(settings["seed"], settings["seed"] + settings["seeds"])
