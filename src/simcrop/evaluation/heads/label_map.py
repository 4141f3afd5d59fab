"""Which labels of one data set answer for those of another; a data file each, with its reasons. Axes: s scan, l
label.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from pydantic import model_validator

from simcrop.errors import SimcropError
from simcrop.evaluation.shipped import read_settings, shipped_names
from simcrop.settings import Settings

PACKAGE = "simcrop.label_maps"


class LabelMap(Settings):
    """`labels`: target class -> the source labels of which the largest probability counts. `beside`: a source label
    that is judged alone against a class, too, outside the mean. `dropped`: source label -> why it has no class.
    """

    source: str
    target: str
    labels: Mapping[str, tuple[str, ...]]
    beside: Mapping[str, str] = {}
    dropped: Mapping[str, str] = {}
    reasons: Mapping[str, str] = {}

    @model_validator(mode="after")
    def fits_itself(self) -> "LabelMap":
        """Every class has a source, and what is judged beside is judged against a class."""
        empty = [target for target, names in self.labels.items() if not names]
        lost = [target for target in self.beside.values() if target not in self.labels]
        if empty or lost:
            raise ValueError(
                f"labels: {empty[0]!r} names no source label"
                if empty
                else f"beside: {lost[0]!r} is no class of labels"
            )
        return self

    def needed(self) -> set[str]:
        """Every source label that is asked."""
        return {name for names in self.labels.values() for name in names} | set(self.beside)

    def apply(self, scores: np.ndarray, names: Sequence[str]) -> np.ndarray:
        """Scores `(..., l)` of the source labels `names` as those of the target's classes, in the order of `labels`;
        NaN (not learned) only where no label of the class was learned.
        """
        place = {name: i for i, name in enumerate(names)}
        columns = [
            np.fmax.reduce(scores[..., [place[name] for name in of]], axis=-1) for of in self.labels.values()
        ]
        return np.stack(columns, axis=-1)


def map_names() -> list[str]:
    """Those that are shipped."""
    return shipped_names(PACKAGE)


def read_map(name: str) -> LabelMap:
    """A shipped map by name, or a YAML file of one's own."""
    return read_settings(LabelMap, "label map", PACKAGE, name)


def map_between(source: Sequence[str], target: Sequence[str], name: str | None) -> LabelMap:
    """The map that is named, or each label onto itself where all are the same, or the one shipped map that fits.

    Refused where a label that is asked for does not exist on its side.
    """
    if name is not None:
        chosen = read_map(name)
    elif set(target) <= set(source):
        gone = dict.fromkeys(
            (label for label in source if label not in target), "the target has no such label"
        )
        chosen = LabelMap(source="", target="", labels={label: (label,) for label in target}, dropped=gone)
    else:
        every = [read_map(each) for each in map_names()]
        fitting = [of for of in every if of.needed() <= set(source) and set(of.labels) <= set(target)]
        if not fitting:
            first = min(set(target) - set(source))
            raise SimcropError(
                "unknown-labels",
                f"the probe does not know the label {first!r} of the cohort: give --map, a file that says which of its "
                f"labels mean it, or one of {', '.join(map_names())}",
            )
        chosen = fitting[0]
    lost = sorted(chosen.needed() - set(source)), sorted(set(chosen.labels) - set(target))
    for side, missing in zip(("probe", "cohort"), lost, strict=True):
        if missing:
            raise SimcropError(
                "unknown-labels", f"the label map asks the {side} for {missing[0]!r}, which it lacks"
            )
    return chosen
