"""The columns of the tables: a data set, what is done with it, and how it is judged. No axes; `share` in (0, 1]."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from simcrop.data.names import NAMES

Task = Literal["probe", "segment", "transfer", "heat"]
Metric = Literal["auroc", "accuracy", "dice", "none"]


@dataclass(frozen=True)
class Column:
    """`share`: of the labelled patients, or of those marked, that are learned from."""

    key: str
    dataset: str
    title: str
    task: Task
    share: float
    metric: Metric


def probed(dataset: str, metric: Metric, *percents: int) -> tuple[Column, ...]:
    """Linear probing on shares of a data set."""
    return tuple(
        Column(f"{dataset}-{p}", dataset, f"{NAMES[dataset]} {p} %", "probe", p / 100, metric)
        for p in percents
    )


def segmented(dataset: str, *percents: int) -> tuple[Column, ...]:
    """Fine-tuned segmentation on shares of a data set."""
    return tuple(
        Column(f"{dataset}-dice-{p}", dataset, f"{NAMES[dataset]} Dice {p} %", "segment", p / 100, "dice")
        for p in percents
    )


TABLE1_COLUMNS = (
    *probed("ct-rate", "auroc", 1, 10, 100),
    *probed("cc-ccii", "accuracy", 1, 10, 100),
    *probed("rad-chestct", "auroc", 10, 100),
    *probed("luna16", "auroc", 10, 100),
)
TABLE2_COLUMNS = (*segmented("luna16", 10, 100), *segmented("btcv", 100))
TABLE3_COLUMNS = (*probed("rad-chestct", "auroc", 10), *segmented("luna16", 10))
FIG2_COLUMNS = (
    Column("ct-rate-to-rad-chestct", "rad-chestct", "CT-RATE heads on RAD-ChestCT", "transfer", 1.0, "auroc"),
)
FIG3_COLUMNS = probed("rad-chestct", "auroc", 10)
FIG4_COLUMNS = (Column("heat", "ct-rate", "Heat maps", "heat", 1.0, "none"),)
COLUMNS: Mapping[str, tuple[Column, ...]] = {
    "table1": TABLE1_COLUMNS,
    "table2": TABLE2_COLUMNS,
    "table3": TABLE3_COLUMNS,
    "fig2": FIG2_COLUMNS,
    "fig3": FIG3_COLUMNS,
    "fig4": FIG4_COLUMNS,
}
TABLES = tuple(COLUMNS)
