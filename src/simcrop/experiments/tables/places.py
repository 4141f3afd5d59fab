"""Where each job of the tables leaves what, below one folder that all tables share. No axes or units."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Places:
    """`out`: the folder given as --out. What one table has trained, another finds here. `rates`: by row, how many times
    the base recipe's learning rate it is trained at; once where nothing is said.
    """

    out: Path
    rates: Mapping[str, float] = field(default_factory=dict, hash=False)

    def named(self, row: str) -> str:
        """`mae`, or `mae-at-2` at twice the rate."""
        rate = self.rates.get(row, 1.0)
        return row if rate == 1 else f"{row}-at-{rate:g}"

    def cohort(self, dataset: str, part: str) -> Path:
        """A phantom cohort; real ones lie where the data file says."""
        return self.out / "cohorts" / dataset / part

    def raw(self, dataset: str, part: str) -> Path:
        """The scans of a phantom cohort, and their truth."""
        return self.out / "raw" / dataset / part

    def run(self, row: str, seed: int) -> Path:
        """A `simcrop pretrain` folder, or the untrained model of the random start."""
        return self.out / "runs" / self.named(row) / str(seed)

    def first(self, row: str, seed: int) -> Path:
        """The run that a row starts from, where it starts from one."""
        return self.out / "runs" / f"{self.named(row)}-first" / str(seed)

    def probe(self, row: str, seed: int, dataset: str) -> Path:
        """A `simcrop probe` folder with every share of the data set."""
        return self.out / "probes" / row / str(seed) / dataset

    def transfer(self, row: str, seed: int) -> Path:
        """A `simcrop transfer` folder: heads of CT-RATE judged on RAD-ChestCT."""
        return self.out / "transfers" / row / str(seed)

    def segment(self, row: str, seed: int, dataset: str, share: float) -> Path:
        """A `simcrop segment` folder."""
        return self.out / "segments" / row / str(seed) / f"{dataset}-{round(100 * share)}"

    def heat(self, row: str, seed: int) -> Path:
        """`simcrop ground` folders, one per scan, numbered."""
        return self.out / "heat" / row / str(seed)

    def choice(self, row: str, pool: str) -> Path:
        """A `simcrop probe` folder on the validation cohort."""
        return self.out / "choices" / self.named(row) / pool

    @property
    def chosen(self) -> Path:
        """What was chosen on the validation cohort before the test was opened."""
        return self.out / "chosen.json"

    @property
    def digests(self) -> Path:
        """Of models and cohorts, so that none is read for it twice."""
        return self.out / "digests.json"

    def failures(self, row: str, seed: int) -> Path:
        """Why jobs of that row and seed ended without a result."""
        return self.out / "failed" / f"{row}-{seed}.json"

    def table(self, name: str, suffix: str) -> Path:
        """`table1.md` and its like."""
        return self.out / f"{name}.{suffix}"
