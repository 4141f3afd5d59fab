"""What is chosen for each row on the validation cohort of phantoms, before the test is opened: its learning rate, and
how its features are pooled. No axes or units.

With the first seed a row is trained at every rate; the macro AUROC of a probe decides, written to `chosen.json`. The
other seeds are trained at the rate that won, and the run of the first seed that had it is kept. A row that is another
with a part changed is trained at the rate of that one, and so comes after it. A rate at which the training diverges has
lost; where one was not tried for another reason, a full disk say, nothing is chosen before it was.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from simcrop.errors import SimcropError
from simcrop.experiments.tables.jobs import Probe
from simcrop.experiments.tables.places import Places
from simcrop.experiments.tables.planning import Setup, Trained, trainings_of, where
from simcrop.experiments.tables.rows import ROWS, Row
from simcrop.experiments.tables.running import Failures
from simcrop.files.whole import read_json, write_json
from simcrop.tasks.folder import METRICS

DIVERGED = "non-finite-loss"
RATES = (1.0, 2.0, 4.0)  # times the rate of the base recipe
POOLS = ("mean", "max")
# By row: `rate`, `pool`, and `validation_auroc`, what was found on the validation cohort by rate and pool.
Chosen = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Candidate:
    """One way to train and read a row, and the probe that judges it on the validation cohort."""

    row: str
    rate: float
    pool: str
    probe: Probe

    @property
    def judged(self) -> float | None:
        """Macro AUROC on the validation cohort."""
        return read_json(self.probe.folder / METRICS)["macro_auroc"] if self.probe.done else None

    def settled(self, failed: Failures) -> bool:
        """Whether it is known how good it is, or that it has lost."""
        why = failed.get(self.probe.model)
        return self.judged is not None or (why is not None and why.reason == DIVERGED)


def rated(setup: Setup, chosen: Chosen) -> Setup:
    """Every row at the rate that was chosen for it, or for the row that it follows."""
    rates = {key: of["rate"] for key, of in chosen.items()}
    followers = {row.key: row.follows for rows in ROWS.values() for row in rows}
    return with_rates(setup, {key: rates[base] for key, base in followers.items() if base in rates} | rates)


def with_rates(setup: Setup, rates: Mapping[str, float]) -> Setup:
    """The same, rows being trained at `rates`, by their keys."""
    return replace(setup, places=replace(setup.places, rates=rates))


def undecided(table: str, setup: Setup, chosen: Chosen) -> list[tuple[Row, float, Setup]]:
    """Rows for which nothing is chosen yet, once for each rate; none that follow another of these."""
    rows = [row for row in setup.sources.rows(table) if row.key not in chosen]
    return [(row, rate, with_rates(setup, {row.key: rate})) for row in rows for rate in rates_of(row, chosen)]


def rates_of(row: Row, chosen: Chosen) -> tuple[float, ...]:
    if not row.trained or row.weights is not None:
        return (1.0,)
    if row.follows is None:
        return RATES
    return (chosen[row.follows]["rate"],) if row.follows in chosen else ()


def trials(table: str, setup: Setup, chosen: Chosen) -> list[Trained]:
    """Trainings with the first seed at every rate."""
    return [
        job
        for row, _, at in undecided(table, setup, chosen)
        if row.weights is None
        for job in trainings_of(row, setup.seeds[0], at)
    ]


def candidates(table: str, setup: Setup, chosen: Chosen) -> list[Candidate]:
    """Of every row for which nothing is chosen yet; they read the validation cohort alone."""
    cohort, seed = where(setup, "ct-rate", "choose"), setup.seeds[0]
    found: list[Candidate] = []
    for row, rate, at in undecided(table, setup, chosen):
        model = setup.sources.weights[row.weights] if row.weights else at.places.run(row.key, seed)
        after = (model,)
        for pool in POOLS:
            folder = at.places.choice(row.key, pool)
            probe = Probe(row.key, seed, folder, cohort, model, (1.0,), pool, after=after)
            found.append(Candidate(row.key, rate, pool, probe))
            after = (folder,)  # the features of both are kept in one file, which one job makes
    return found


def read_chosen(places: Places) -> Chosen:
    """What is chosen so far."""
    return read_json(places.chosen) if places.chosen.is_file() else {}


def choose(places: Places, every: list[Candidate], failed: Failures) -> Chosen:
    """Writes down the best of every row of which all was judged or has lost; what was chosen before stays. Of equals
    the first wins.
    """
    chosen = dict(read_chosen(places))
    for row in dict.fromkeys(one.row for one in every):
        mine = [one for one in every if one.row == row]
        judged = [(one, found) for one in mine if (found := one.judged) is not None]
        if not judged or not all(one.settled(failed) for one in mine):
            continue
        best, _ = max(judged, key=lambda pair: pair[1])
        by_rate: dict[str, dict[str, float]] = {}
        for one, found in judged:
            by_rate.setdefault(f"{one.rate:g}", {})[one.pool] = found
        chosen[row] = {"rate": best.rate, "pool": best.pool, "validation_auroc": by_rate}
    places.out.mkdir(exist_ok=True)
    write_json(places.chosen, chosen)
    return chosen


def left_open(table: str, setup: Setup, chosen: Chosen, failed: Failures) -> dict[str, SimcropError]:
    """Rows for which nothing could be chosen, and why."""
    found: dict[str, SimcropError] = {}
    for row in setup.sources.rows(table):
        if row.key in chosen:
            continue
        if row.follows is not None and row.follows not in chosen:
            why = f"{row.follows}, whose learning rate it takes, has none yet"
        else:
            tried = [one for one in candidates(table, setup, chosen) if one.row == row.key]
            known = (failed.get(one.probe.folder) or failed.get(one.probe.model) for one in tried)
            why = next(
                (one.sentence for one in known if one and one.reason != DIVERGED), "it diverges at every rate"
            )
        found[row.key] = SimcropError("not-chosen", f"no learning rate was chosen: {why}")
    return found
