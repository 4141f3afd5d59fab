"""`simcrop probe`: what a head reads from a frozen encoder, per label, with intervals by patient.

Axes: k repetition (seed), s scan, d features, l label.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np

from simcrop.data.split import some_patients
from simcrop.data.store.cohort import Cohort, open_cohort
from simcrop.errors import SimcropError
from simcrop.evaluation.features import POOLS
from simcrop.evaluation.heads.classes import named
from simcrop.evaluation.heads.settings import Chosen, settings_for
from simcrop.evaluation.heads.tokens import Features
from simcrop.evaluation.subgroups import Subgroup, subgroups
from simcrop.files.digest import digest_of_names
from simcrop.tasks.columns import column_of
from simcrop.tasks.features.augmented_views import drawn_with_views, refuse_views, rows_with_views, with_views
from simcrop.tasks.features.source import FeatureSource, source_of
from simcrop.tasks.folder import staged, write_metrics
from simcrop.tasks.intervals import without_nan
from simcrop.tasks.labelled import refuse_poor_share
from simcrop.tasks.probing.figures import PREDICTIONS, block, class_block, group_rows, write_predictions
from simcrop.tasks.probing.fits import Drawn, Fitting, Judged, Repeated, judged_by_frequency
from simcrop.tasks.probing.heads import HEADS, LOGISTIC, save_heads
from simcrop.tasks.probing.kept_fits import KeptFits
from simcrop.tasks.probing.page import write_probe_page
from simcrop.tasks.probing.sides import Sides, both_sides

FREQUENCY, RANDOM = "label frequency", "random start"
LINEAR, ATTENTION = "linear", "attention"
KINDS = (LOGISTIC, LINEAR, ATTENTION)


@dataclass(frozen=True)
class ProbeOptions:
    """`shares` of the training patients, each with as many `seeds` from `seed` on; splits to learn from and to judge
    by; `by`: columns whose groups are judged apart, in the cohort or in the CSV `table`; `baselines`: a random start,
    too. `views`: of each training scan, the first as it is, the others augmented. `head`: logistic, linear or
    attention; `settings`: how the last two are trained, a shipped table or a file, the cohort's own unless said;
    `exclusive`: whether labels exclude one another, as the layout says unless said.
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
    head: str = LOGISTIC
    settings: str | None = None
    exclusive: bool | None = None

    @property
    def every_seed(self) -> range:
        return range(self.seed, self.seed + self.seeds)


def probe(
    model: str, cohort_path: Path, out: Path, options: ProbeOptions | None = None, overwrite: bool = False
) -> dict[float, Repeated]:
    """Fit on shares of the patients of one split, judge on another: `metrics.json`, `predictions.parquet`, a page."""
    options = options or ProbeOptions()
    refuse_bad_options(options)
    source, cohort = source_of(model, options.pool), open_cohort(cohort_path)
    refuse_views(options.views, source)
    sides = both_sides(cohort, options.train, options.test, options.exclusive)
    note = source.note(cohort, sides.testing)
    drawn = drawn_patients(sides, options)
    chosen = chosen_settings(cohort, sides, drawn, options)
    columns = [column_of(sides.testing, name, options.table) for name in options.by]
    settings = {
        "model": source.digest,
        "cohort": cohort.digest,
        **asdict(options),
        "labels_exclusive": sides.exclusive,
        "trained": {f"{share:g}": of.said for share, of in chosen.items() if of is not None},
    }
    with staged(out, "probe", settings, overwrite) as stage:
        known = rows_with_views(len(cohort), sides.rows, sides.truth, sides.patients, options.views)
        kept = KeptFits(cohort, settings)
        seen, drawn_seen = replace(sides, **known), drawn_with_views(drawn, options.views)
        fitting = Fitting(seen, drawn_seen, chosen, kept, options.seed)
        features = features_of(source, cohort, sides, drawn, options)
        assert features is not None
        found = fitting.every_share(features, "heads", list(options.shares))
        best = found[max(found)]
        others: dict[str, Judged] = {FREQUENCY: judged_by_frequency(sides, options.seed)}
        if (
            options.baselines
            and (blind := features_of(source, cohort, sides, drawn, options, options.seed)) is not None
        ):
            of_blind = fitting.every_share(blind, "heads of a random start", [max(found)])
            others[RANDOM] = of_blind[max(found)].judged
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
                decided=named(best.scores) if sides.exclusive else None,
            )
        ]
        metrics = figures(found, others, groups, sides, drawn, settings, note)
        write_metrics(stage, metrics | {"unmatched": source.unmatched(cohort)})
        scores = {share: of_share.scores for share, of_share in found.items()}
        seeds, names = options.every_seed, sides.names
        write_predictions(stage / PREDICTIONS, sides.testing, scores, seeds, sides.test_truth, names)
        heads = {share: of_share.probes for share, of_share in found.items()}
        learned = {share: patients_of_share(sides, drawn, share) for share in found}
        save_heads(stage / HEADS, heads, names, settings, str(Path(model).resolve()), learned)
        write_probe_page(stage, found, others, groups, sides, options.head, note)
    kept.clear()
    return found


def refuse_bad_options(options: ProbeOptions) -> None:
    """What can be said before anything is read."""
    if options.head not in KINDS:
        near = get_close_matches(options.head, KINDS, 1, 0)[0]
        raise SimcropError(
            "bad-setting", f"no head {options.head!r}; did you mean {near}? There are {', '.join(KINDS)}"
        )
    if options.pool not in POOLS:
        raise SimcropError("bad-setting", f"--pool wants mean or max, got {options.pool!r}")
    if options.head == ATTENTION and options.pool != POOLS[0]:
        raise SimcropError(
            "bad-setting", "--pool is of the other heads: --head attention weighs the patches itself"
        )
    if options.head == ATTENTION and options.views > 1:
        raise SimcropError(
            "bad-setting", "--views is of the other heads: --head attention reads each scan as it is"
        )
    if options.head == LOGISTIC and options.settings is not None:
        raise SimcropError(
            "bad-setting", "--settings is of --head linear and attention: the logistic head has none"
        )
    if options.seeds < 1 or not options.shares:
        raise SimcropError("bad-setting", "--seeds wants at least one, and --share at least one share")


def drawn_patients(sides: Sides, options: ProbeOptions) -> Drawn:
    """By share and seed; refused where a share lacks a label that the whole split has."""
    drawn = {
        (share, seed): some_patients(sides.patients, share, seed)
        for share in options.shares
        for seed in options.every_seed
    }
    for (share, seed), rows in drawn.items():
        refuse_poor_share(sides.truth, rows, sides.patients, sides.names, share, seed)
    return drawn


def patients_of_share(sides: Sides, drawn: Drawn, share: float) -> set[str]:
    """Whom the heads of this share learned from, whatever their seed."""
    return {name for (of, _), rows in drawn.items() if of == share for name in sides.patients[rows]}


def chosen_settings(
    cohort: Cohort, sides: Sides, drawn: Drawn, options: ProbeOptions
) -> dict[float, Chosen | None]:
    """By share; None for the logistic head, which is not trained by steps."""
    if options.head == LOGISTIC:
        return dict.fromkeys(options.shares)
    scans = {share: int(drawn[share, options.seed].sum()) for share in options.shares}
    return {
        share: settings_for(options.settings, cohort.layout, sides.label_kind, share, count)
        for share, count in scans.items()
    }


def features_of(
    source: FeatureSource,
    cohort: Cohort,
    sides: Sides,
    drawn: Drawn,
    options: ProbeOptions,
    random_seed: int | None = None,
) -> Features | None:
    """Pooled, and of further views, or tokens: of those scans that are learned from or judged, in the places that they
    have in the cohort.
    """
    if options.head == ATTENTION:
        asked = np.logical_or.reduce(list(drawn.values()))
        rows = np.concatenate([sides.rows[asked], sides.test_rows])
        return source.tokens(cohort, rows, random_seed)
    rows = np.unique(np.concatenate([sides.rows, sides.test_rows]))
    some = cohort.keep(rows.tolist())
    if random_seed is None:
        found = source.rows(some, options.pool)
    elif (found := source.random_rows(some, options.pool, random_seed)) is None:
        return None
    features = np.full((len(cohort), found.shape[1]), np.nan, found.dtype)
    features[rows] = found
    return with_views(features, source, cohort, sides.rows, options.pool, options.views, random_seed)


def figures(
    found: Mapping[float, Repeated],
    others: Mapping[str, Judged],
    groups: Sequence[Subgroup],
    sides: Sides,
    drawn: Drawn,
    settings: Mapping[str, Any],
    note: str,
) -> dict[str, Any]:
    """`metrics.json`: the figures of the largest share, those of each share, and of whom; not defined is null."""
    people = {"train": sides.patients, "test": sides.test_patients}
    return without_nan(
        {
            **figures_of(found[max(found)].judged),
            "shares": {
                f"{share:g}": {
                    **figures_of(of_share.judged),
                    **({"settings": of_share.chosen.said} if of_share.chosen else {}),
                    "probes": [
                        {
                            "seed": seed,
                            **each.said,
                            "scans": int(drawn[share, seed].sum()),
                            "patients": len(set(sides.patients[drawn[share, seed]])),
                            "split_hash": digest_of_names(sides.patients[drawn[share, seed]]),
                        }
                        for seed, each in zip(seeds_of(settings), of_share.probes, strict=True)
                    ],
                }
                for share, of_share in found.items()
            },
            "baselines": {name: figures_of(judged) for name, judged in others.items()},
            "by": group_rows(groups),
            "scans": {name: len(patients) for name, patients in people.items()},
            "patients": {name: len(set(patients)) for name, patients in people.items()},
            "split_hash": {name: digest_of_names(patients) for name, patients in people.items()},
            **{
                name: settings[name]
                for name in ("seed", "seeds", "pool", "head", "views", "labels_exclusive")
            },
            "note": note,
        }
    )


def figures_of(judged: Judged) -> dict[str, Any]:
    """Label by label, and as one question where there is one."""
    return block(judged.judgement) | (class_block(judged.classes) if judged.classes else {})


def seeds_of(settings: Mapping[str, Any]) -> range:
    return range(settings["seed"], settings["seed"] + settings["seeds"])
