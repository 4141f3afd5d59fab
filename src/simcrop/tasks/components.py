"""What a method is built from, gathered from a cohort: the text side, the words to predict, the labels to learn.

Axes: s text, t word piece, d features.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from simcrop.config import Recipe, nearest
from simcrop.data.report import Report
from simcrop.data.samples.batch import Unit
from simcrop.data.samples.collate import Texts, texts_of
from simcrop.data.samples.split_reports import split_reports
from simcrop.data.samples.text_features import Asked, SentenceBank, build_bank
from simcrop.data.samples.tokenizer import Tokenizer
from simcrop.data.store.cohort import Cohort
from simcrop.engine.distributed import DistributedContext
from simcrop.engine.progress import Progress, silent
from simcrop.errors import SimcropError
from simcrop.evaluation.protocol import Protocol, read_protocol
from simcrop.evaluation.stated import claims_of, level_of, opposite_of
from simcrop.files.digest import digest_of_files
from simcrop.nn.text_encoder import TextEncoder, read_text_encoder
from simcrop.objectives.needs import Components, TextNeeds
from simcrop.objectives.texts import encode_texts
from simcrop.tasks.organ_texts import ORGAN_TEXTS, organ_texts_of
from simcrop.tasks.prompts import prompts_of, sides_of
from simcrop.weights.embedded import text_encoder_folder

REPORTS_AT_ONCE, SENTENCES_AT_ONCE = 32, 256
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
    reports = [Report(*both) for both in studies.index.select("findings", "impression").iter_rows()]
    kept = cohort.path / "sentences" if recipe.text.cache_sentences else None
    stated = None if needs.organs is None else organ_texts_of(studies, reports, needs.organs)
    texts = texts_of_all(reports, needs.unit, kept, context, show) if stated is None else stated.texts
    if not any(texts if needs.unit else [report.text for report in reports]):
        what = "a report" if needs.unit in {"report", None} else "a sentence of findings"
        raise SimcropError(
            "no-reports",
            f"{cohort.path}: none of its {len(studies)} studies{of_share(recipe)} has {what}, and {recipe.method} "
            "learns from reports; put them into reports.csv beside the scans and ingest again",
        )
    folder = text_encoder_folder(recipe.text.model)
    tokenizer = Tokenizer.load(folder)
    text = read_text_encoder(folder, recipe.text.freeze) if needs.encoder else None
    asking = read_protocol(needs.prompts) if needs.prompts else None
    asked = asked_of(needs, asking, recipe.label_names or ())
    bank = text_bank(texts, recipe, needs, text, tokenizer, kept, context, show, asked)
    vocabulary = None
    if needs.predicted == "compact":
        vocabulary = pieces_used(reports, tokenizer, recipe.text.report_length, show)
    components = Components(
        recipe.input.grid,
        text,
        tokenizer,
        vocabulary,
        center_of(bank) if needs.centred else None,
        recipe.input.patch_mm,
        None if asking is None else prompts_of(asking, recipe.label_names or (), bank, studies),
        studies.classes,
    )
    lengths = recipe.text.report_length, recipe.text_length
    places = [np.array(bank.ids(of_one), dtype=np.int32) for of_one in texts]
    ids = studies.index["id"].to_list()
    known = dict(zip(ids, places, strict=True))
    normal = None if stated is None else dict(zip(ids, stated.normal, strict=True))
    return TrainingInputs(
        components,
        Texts(tokenizer, bank, *lengths, needs.unit, needs.predicted != "no", known, normal),
        {} if stated is None else {ORGAN_TEXTS: stated.source},
    )


def texts_of_all(
    reports: Sequence[Report],
    unit: Unit | None,
    kept: Path | None,
    context: DistributedContext,
    show: Callable[[], Progress],
) -> list[list[str]]:
    """What of each report meets the image; sentences from where they are `kept`, which one process writes."""
    if unit != "sentence":
        return [texts_of(report, unit) for report in reports]
    tell = told(show, "reports split into sentences")
    tell(0, len(reports))  # a word before the first of them: what is kept takes seconds to read
    return split_reports([report.findings for report in reports], kept, context.is_main, tell)


def text_bank(
    texts: Sequence[Sequence[str]],
    recipe: Recipe,
    needs: TextNeeds,
    text: TextEncoder | None,
    tokenizer: Tokenizer,
    kept: Path | None,
    context: DistributedContext,
    show: Callable[[], Progress],
    asked: Asked,
) -> SentenceBank:
    """All texts, each encoded once, on the devices that will train, when the text encoder is frozen; the name of the
    file in which features are `kept` tells what made them.
    """
    if text is None or needs.unit is None or not recipe.text.freeze:
        return build_bank(texts, None, asked=asked)

    @torch.no_grad()
    def encode(chunk: list[str]) -> Tensor:
        tokens = tokenizer.encode(chunk, recipe.text_length).to(context.device)
        return encode_texts(tokens, text.to(context.device), needs.pool).float().cpu()

    weights = digest_of_files(text_encoder_folder(recipe.text.model) / "model.safetensors")[:12]
    kind = "" if needs.unit == "sentence" else f"-{needs.unit}"
    cache = kept / f"{weights}-{needs.pool}-{recipe.text_length}{kind}.vectors" if kept else None
    at_once = SENTENCES_AT_ONCE if needs.unit == "sentence" else REPORTS_AT_ONCE
    try:
        return build_bank(texts, encode, cache, at_once, context, told(show, "texts encoded"), asked)
    finally:
        text.cpu()  # where the rest of the network is built; the engine moves all of it


def pieces_used(
    reports: Sequence[Report], tokenizer: Tokenizer, length: int, show: Callable[[], Progress]
) -> Tensor:
    """Ids of all word pieces that the reports hold, in their order."""
    tell, used = told(show, "reports read for their words"), set[int]()
    for start in range(0, len(reports), SENTENCES_AT_ONCE):
        some = reports[start : start + SENTENCES_AT_ONCE]
        tokens = tokenizer.encode([report.text for report in some], length)
        used.update(tokens.ids[tokens.mask].unique().tolist())
        tell(start + len(some), len(reports))
    return torch.tensor(sorted(used))


def told(show: Callable[[], Progress], words: str) -> Callable[[int, int], None]:
    """A progress that always says the same beside its count, and is not shown before there is something to count."""
    shown: list[Progress] = []

    def tell(done: int, total: int) -> None:
        if not shown:
            shown.append(show())
        shown[0](done, total, words)

    return tell


def center_of(bank: SentenceBank) -> Tensor:
    """The mean text feature."""
    center = bank.center()
    if center is None:
        raise SimcropError("bad-setting", "center_text needs a frozen text encoder (text.freeze = true)")
    return center


def asked_of(needs: TextNeeds, asking: Protocol | None, labels: Sequence[str]) -> Asked:
    """What the method wants to know of the sentences, and what else it reads."""
    return Asked(
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


def with_known_classes(recipe: Recipe, studies: Cohort) -> Recipe:
    """The recipe with the classes that it learns, by name, each of which is marked in some scan."""
    if recipe.window_needs is None:
        return recipe
    known = {name: number for number, name in studies.classes.items()}
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


def of_share(recipe: Recipe) -> str:
    """For a refusal that a larger share might not meet."""
    share = recipe.data.share
    return f" that data.share = {share:g} leaves (a larger share leaves more)" if share < 1 else ""
