"""What a model is for, and where it is known to fail: the part of its card that no figure replaces.

No axes or units.
"""

from collections.abc import Mapping
from typing import Any

from simcrop.config import Recipe
from simcrop.data.layouts.drawn import INSERTED, PHANTOM
from simcrop.tasks.data_source import learned_before
from simcrop.tasks.training.page import verdict

NOT_A_DEVICE = (
    "research only: it is not a medical device, nobody has approved it for use on patients, and no decision about a "
    "patient may rest on it"
)


def intended_use(recipe: Recipe) -> list[str]:
    if recipe.class_names:
        use = f"masks of {', '.join(recipe.class_names)} in chest CT, for research, each to be looked at by a person"
    elif recipe.text_needs is not None:
        use = "features of chest CT, and where sentences of a report are seen in it, for research"
    else:
        use = "features of chest CT for research: probing, retrieval, a start for fine-tuning"
    return [NOT_A_DEVICE, use]


def failures(recipe: Recipe, provenance: Mapping[str, Any], trained: Mapping[str, Any]) -> list[str]:
    """Those of all such models, and those that this one's own run shows."""
    lines = [
        "other scanners, protocols, countries and ages than those that it learned from: not known until measured",
        "other bodies than adult chests, and scans cut short: it answers all the same, without a warning",
    ]
    if all(of.get("made_by") == PHANTOM for of in (provenance, *learned_before(provenance))):
        lines.insert(
            0,
            "it has seen phantoms alone, drawn bodies: of real patients it knows nothing, and its figures say nothing "
            "about them",
        )
    if provenance.get("made_by") == INSERTED:
        lines.insert(
            0, "the findings that it learned were drawn into real scans: real ones may look otherwise"
        )
    if recipe.class_names:
        lines.append("anatomy that is absent or was removed: it may mark its neighbour in its place")
    elif recipe.text_needs is not None:
        lines += [
            "absent anatomy and absent findings: some patch is always the nearest, so a heat map shows no sign that "
            "there is nothing; `simcrop audit` measures it",
            "left and right: sentences that differ in the side alone may have nearly the same features, and point to "
            "the same place",
            'denials: "no effusion" may lie near "effusion"',
        ]
    else:
        lines.append("absent anatomy: its features do not say that something is missing")
    if "align_accuracy" in trained and "align_accuracy_blank" in trained:
        lines.append(verdict(dict(trained)))
    if recipe.data.mispaired:
        lines.insert(0, "it is a control that was trained on wrong pairs, and knows nothing on purpose")
    return lines
