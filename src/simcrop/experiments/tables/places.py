"""Where each job of the tables leaves what, below one folder that all tables share. No axes or units."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Places:
    """`out`: the folder given as --out. What one table has trained, another finds here."""

    out: Path

    def cohort(self, dataset: str, part: str) -> Path:
        """A phantom cohort; real ones lie where the data file says."""
        return self.out / "cohorts" / dataset / part

    def raw(self, dataset: str, part: str) -> Path:
        """The scans of a phantom cohort, and their truth."""
        return self.out / "raw" / dataset / part

    def run(self, row: str, seed: int) -> Path:
        """A `simcrop pretrain` folder, or the untrained model of the random start."""
        return self.out / "runs" / row / str(seed)

    def first(self, row: str, seed: int) -> Path:
        """The run that a row starts from, where it starts from one."""
        return self.run(f"{row}-first", seed)

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
        return self.out / "choices" / row / pool

    @property
    def chosen(self) -> Path:
        """What was chosen on the validation cohort before the test was opened."""
        return self.out / "chosen.json"

    def failures(self, row: str, seed: int) -> Path:
        """Why jobs of that row and seed ended without a result."""
        return self.out / "failed" / f"{row}-{seed}.json"

    def table(self, name: str, suffix: str) -> Path:
        """`table1.md` and its like."""
        return self.out / f"{name}.{suffix}"
