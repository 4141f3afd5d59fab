"""What a method is built from, gathered from a cohort: the text side, the words to predict, the labels to learn.

Axes: s text, t word piece, d features.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from simcrop.config import Recipe, nearest
from simcrop.data.samples.collate import Texts
from simcrop.data.samples.text_features import SentenceBank, TextQuestions
from simcrop.data.samples.tokenizer import Tokenizer
from simcrop.data.store.cohort import Cohort
from simcrop.data.store.format import FINDINGS
from simcrop.engine.distributed import DistributedContext
from simcrop.engine.progress import Progress, silent
from simcrop.errors import SimcropError
from simcrop.evaluation.wording.protocol import Protocol, read_protocol
from simcrop.evaluation.wording.stated import claims_of, level_of, opposite_of
from simcrop.nn.text_encoder import read_text_encoder
from simcrop.objectives.needs import Components, TextNeeds
from simcrop.tasks.training.prompts import prompts_of, sides_of
from simcrop.tasks.training.samples import of_share
from simcrop.tasks.training.text_bank import Gathering
from simcrop.weights.embedded import text_encoder_folder

ALONE = DistributedContext(0, 1, torch.device("cpu"))


@dataclass(frozen=True, eq=False)
class TrainingInputs:
    """`components` of the network, `texts` for its batches; `texts` is None when the method reads none. `facts`: where
    they are from, for the records, where the reports alone do not say it.
    """

    components: Components
    texts: Texts | None
    facts: Mapping[str, str] = field(default_factory=dict)


def gather_inputs(
    cohort: Cohort,
    studies: Cohort,
    recipe: Recipe,
    context: DistributedContext = ALONE,
    show: Callable[[], Progress] = lambda: silent,
) -> TrainingInputs:
    """Read the text encoder and every report, when the method wants them. All processes share the encoding; `show`
    makes a progress for each of the long stretches.
    """
    needs = recipe.text_needs
    if needs is None:
        return TrainingInputs(Components(recipe.input.grid, patch_mm=recipe.input.patch_mm), None)
    folder = text_encoder_folder(recipe.text.model)
    tokenizer = Tokenizer.load(folder)
    text = read_text_encoder(folder, recipe.text.freeze) if needs.encoder else None
    asking = read_protocol(needs.prompts) if needs.prompts else None
    asked = asked_of(needs, asking, recipe.label_names or ())
    kept = Gathering(cohort, studies, recipe, needs, tokenizer, text, asked, context, show).texts()
    components = Components(
        recipe.input.grid,
        text,
        tokenizer,
        kept.vocabulary,
        center_of(kept.bank) if needs.centred else None,
        recipe.input.patch_mm,
        None if asking is None else prompts_of(asking, recipe.label_names or (), kept.bank, studies),
        studies.classes,
    )
    lengths, predicted = (recipe.text.report_length, recipe.text_length), needs.predicted != "no"
    texts = Texts(tokenizer, kept.bank, *lengths, needs.unit, predicted, kept.known, kept.normal, kept.mapped)
    return TrainingInputs(components, texts, kept.facts)


def center_of(bank: SentenceBank) -> Tensor:
    """The mean text feature."""
    center = bank.center()
    if center is None:
        raise SimcropError("bad-setting", "center_text needs a frozen text encoder (text.freeze = true)")
    return center


def asked_of(needs: TextNeeds, asking: Protocol | None, labels: Sequence[str]) -> TextQuestions:
    """What the method wants to know of the sentences, and what else it reads."""
    return TextQuestions(
        opposite_of if needs.opposites else None,
        claims_of if needs.opposites else None,
        level_of if needs.levels else None,
        ()
        if asking is None
        else tuple(text for side in sides_of(asking, labels) for row in side for text in row),
    )


def with_known_labels(recipe: Recipe, studies: Cohort) -> Recipe:
    """The recipe with the labels that it learns, by name; refused when the cohort knows none of them."""
    wanted = recipe.label_names
    if wanted is None:
        return recipe
    for name in wanted:
        if name not in studies.labels:
            raise SimcropError(
                "no-labels", f"{studies.path} has no label {name!r}{nearest(name, studies.labels)}"
            )
    names = wanted or tuple(studies.labels)
    if not any(study.labels[name] is not None for study in studies for name in names):
        raise SimcropError(
            "no-labels",
            f"{studies.path}: none of its {len(studies)} studies{of_share(recipe)} has a label to learn from",
        )
    return recipe.model_copy(update=recipe.label_settings(names))


WITHOUT = {
    False: "none of its masks names a class to learn",
    True: "its masks mark each scan's own sentences, some in part, and no classes: what is not marked there may be ill "
    "all the same, so it cannot be learned as background; simcrop ground-eval judges by such marks",
}


def with_known_classes(recipe: Recipe, studies: Cohort) -> Recipe:
    """The recipe with the classes that it learns, by name, each of which is marked in some scan."""
    if recipe.window_needs is None:
        return recipe
    known = {name: number for number, name in studies.classes.items()}
    if not known:
        raise SimcropError("no-class", f"{studies.path}: {WITHOUT[(studies.path / FINDINGS).is_file()]}")
    for name in recipe.class_names:
        if name not in known:
            hint = nearest(name, list(known)) or f"; it has {', '.join(known)}"
            raise SimcropError("no-class", f"{studies.path}: its masks have no class {name!r}{hint}")
    names = recipe.class_names or tuple(known)
    marked = {number for values in studies.index["mask_values"].to_list() for number in values or ()}
    if never := [name for name in names if known[name] not in marked]:
        left = [name for name in names if name not in never]
        raise SimcropError(
            "no-class",
            f"{studies.path}: class {never[0]!r} is marked in none of its {len(studies)} studies{of_share(recipe)}"
            + (f"; without it: --set 'classes={list(left)}'" if left else ""),
        )
    recipe = recipe.model_copy(update=recipe.class_settings(names))
    _ = recipe.window_needs  # refused now, where the classes do not go with how windows are varied
    return recipe
