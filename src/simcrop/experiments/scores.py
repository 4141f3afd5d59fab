"""What an arm reached over its seeds, with intervals over patients and seeds together.

Axes: s scan, l label, k seed, r drawn cohort. Every arm is judged on the same drawn cohorts of patients, so that the
difference of two arms is paired.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from simcrop.evaluation.heads.probe import fit_probe
from simcrop.evaluation.pointing_game import Pointed, chance, point, prior_maps
from simcrop.evaluation.wording.says_nothing import told_apart
from simcrop.metrics import Interval, interval_of, macro_auroc, resampled
from simcrop.metrics.ranking import mean_of_defined

DRAWS = 400
KINDS = ("hit", "swapped", "prior", "chance")


@dataclass(frozen=True, eq=False)
class Reached:
    """`by_seed` `(k,)`: the figure itself, in [0, 1]; `drawn` `(k, r)`: the same on the drawn cohorts; NaN where not
    defined. `seeds`: which, the first ones where nothing is said.
    """

    by_seed: np.ndarray
    drawn: np.ndarray
    seeds: tuple[int, ...] = ()

    @property
    def mean(self) -> float:
        return float(self.by_seed.mean())

    def interval(self) -> Interval:
        """The mean over seeds; no end of it lies beyond what the figure can be."""
        return interval_of(self.mean, self.over_seeds().clip(0, 1))

    def over(self, other: "Reached") -> Interval:
        """This minus another, on the same patients and with the same seeds, those that both have: what a seed decides
        for both, such as which labels there are to learn from, is no difference between them. Without a seed in common
        each draws its own.
        """
        if common := [seed for seed in self.of_seeds if seed in other.of_seeds]:
            one, two = self.only(common), other.only(common)
            less = Reached(one.by_seed - two.by_seed, one.drawn - two.drawn)
            return interval_of(one.mean - two.mean, less.over_seeds())
        return interval_of(self.mean - other.mean, self.over_seeds() - other.over_seeds(1))

    @property
    def of_seeds(self) -> tuple[int, ...]:
        return self.seeds or tuple(range(len(self.by_seed)))

    def only(self, seeds: Sequence[int]) -> "Reached":
        """Of some of its seeds, in this order."""
        at = [self.of_seeds.index(seed) for seed in seeds]
        return Reached(self.by_seed[at], self.drawn[at], tuple(seeds))

    def over_seeds(self, stream: int = 0) -> np.ndarray:
        """`(r,)`: for every drawn cohort the mean over seeds, moved by how far the mean of so few trainings may lie
        from that of all. That is Student's t. Seeds drawn with replacement, as patients are, would call two equal
        methods apart four times too often: of three, one draw in nine holds a single seed.
        """
        seeds, draws = self.drawn.shape
        if seeds == 1:
            return self.drawn[0]
        spread = self.by_seed.std(ddof=1) / np.sqrt(seeds)
        moved = spread * stdtrit(seeds - 1, (np.arange(draws) + 0.5) / draws)
        return self.drawn.mean(0) + np.random.default_rng((6, stream)).permutation(moved)


def probe_scores(
    known: np.ndarray,
    labels: np.ndarray,
    patients: np.ndarray,
    unseen: np.ndarray,
    seed: int,
) -> np.ndarray:
    """Scores `(s, l)` of unseen scans by a probe fitted on known ones."""
    return fit_probe(known, labels, patients, seed).scores(unseen)


def reached_by_probe(scores: Sequence[np.ndarray], truth: np.ndarray, patients: np.ndarray) -> Reached:
    """Macro AUROC of `scores`, one `(s, l)` per seed."""
    return over_cohorts(
        [lambda rows, of_seed=of_seed: macro_auroc(of_seed[rows], truth[rows]).value for of_seed in scores],
        patients,
    )


def reached_by_label(scores: Sequence[np.ndarray], truth: np.ndarray) -> np.ndarray:
    """AUROC per label, `(l,)`, averaged over seeds."""
    return np.mean([macro_auroc(of_seed, truth).per_label for of_seed in scores], axis=0)


def reached_by_pointing(pointed: Sequence[Pointed]) -> dict[str, Reached]:
    """Hit rates by name: the sentence itself, and all that it must beat. Lesions outside the crop are left out."""
    rates: dict[str, list[np.ndarray]] = {name: [] for name in KINDS}
    patients = np.asarray(pointed[0].patient)
    reachable = (pointed[0].lesion > 0).any(1)
    for asked in pointed:
        lesion, maps = asked.lesion[reachable], asked.maps[reachable]
        prior = prior_maps(maps, np.asarray(asked.kind)[reachable], patients[reachable])
        rates["hit"].append(point(maps, lesion))
        rates["swapped"].append(point(asked.swapped[reachable], lesion))
        rates["prior"].append(point(prior, lesion))
        rates["chance"].append(chance(maps, lesion))
    return {
        name: over_cohorts(
            [lambda rows, hit=hit: mean_of_defined(hit[rows]) for hit in hits], patients[reachable]
        )
        for name, hits in rates.items()
    }


def tells_presence(pointed: Sequence[Pointed]) -> Reached:
    """How well a sentence's best similarity tells what a scan shows from what it lacks: each sentence about a finding
    against its swapped one. Denials are not among them, as they are in the says-nothing AUROC; nor are lesions outside
    the crop.
    """
    reachable = (pointed[0].lesion > 0).any(1)
    own = np.arange(int(reachable.sum()))
    won = [
        told_apart(asked.maps[reachable].max(1), asked.swapped[reachable].max(1), own, own)
        for asked in pointed
    ]
    return over_cohorts(
        [lambda rows, of_seed=of_seed: mean_of_defined(of_seed[rows]) for of_seed in won],
        np.asarray(pointed[0].patient)[reachable],
    )


def hits_by_kind(pointed: Sequence[Pointed], swapped: bool = False) -> dict[str, list[float]]:
    """Hit rate of each kind of finding, seed by seed: a mean over kinds can miss one that is never pointed at.

    `swapped`: how often a sentence about something else, which this scan lacks, points there.
    """
    kinds, reachable = np.asarray(pointed[0].kind), (pointed[0].lesion > 0).any(1)
    hits = [point(asked.swapped if swapped else asked.maps, asked.lesion) for asked in pointed]
    return {
        str(kind): [mean_of_defined(of_seed[reachable & (kinds == kind)]) for of_seed in hits]
        for kind in np.unique(kinds[reachable])
    }


def over_cohorts(figures: Sequence[Callable[[np.ndarray], float]], patients: np.ndarray) -> Reached:
    """Each figure on all rows and on the drawn cohorts; equal `patients` are always drawn alike."""
    rows = list(resampled(patients, np.random.default_rng(6), DRAWS))
    everyone = np.arange(len(patients))
    return Reached(
        np.array([figure(everyone) for figure in figures]),
        np.array([[figure(some) for some in rows] for figure in figures]),
    )
