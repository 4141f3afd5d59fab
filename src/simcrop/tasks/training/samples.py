"""What a run learns from: which studies of a cohort, and what is cut from each.

No axes or units.
"""

from collections.abc import Sequence
from dataclasses import replace

import polars as pl
from torch.utils.data import Dataset

from simcrop.config import Recipe
from simcrop.data.preprocess import triple
from simcrop.data.report import Report
from simcrop.data.samples.collate import texts_of
from simcrop.data.samples.dataset import HERE, StudyCrops, derangement
from simcrop.data.samples.fine import FineCrops, check_stored_finer
from simcrop.data.samples.windows import StudyWindows, check_stored_at, numbers_of
from simcrop.data.split import some_patients
from simcrop.data.store.cohort import Cohort, Study
from simcrop.data.store.format import KEPT
from simcrop.data.store.kept_index import found_index, index_file, keep_index
from simcrop.engine.distributed import DistributedContext
from simcrop.errors import SimcropError
from simcrop.groups import AugSettings
from simcrop.objectives.needs import TextNeeds
from simcrop.tasks.labelled import studies_of
from simcrop.tasks.training.organ_texts import concluded

LEFT_OUT = "left_out"  # in run.json
WHAT = {
    None: "a report",
    "sentence": "a sentence of findings",
    "findings": "a sentence of findings",
    "report": "a report",
    "organ": "an impression",
}
"""What a study must have for a text of each unit."""


def training_studies(cohort: Cohort, recipe: Recipe) -> Cohort:
    """Those that `data.split` and `data.share` leave, of which the method learns something."""
    studies = that_teach(of_split(cohort, recipe), recipe)
    if recipe.data.share == 1:
        return studies
    chosen = some_patients(studies.index["patient"].to_numpy(), recipe.data.share, recipe.seed)
    return replace(studies, index=studies.index.filter(chosen))


def left_out(cohort: Cohort, recipe: Recipe) -> dict[str, str]:
    """For the records, how many studies of the split teach nothing; no word where all teach something."""
    every = of_split(cohort, recipe)
    count = len(every) - len(that_teach(every, recipe))
    needs = recipe.text_needs
    lacking = [
        *(["a mask"] if learns_from_masks(recipe) else []),
        *([WHAT[needs.unit]] if needs is not None and needs.required else []),
    ]
    return {LEFT_OUT: f"{count} of {len(every)} studies, which lack {' or '.join(lacking)}"} if count else {}


def of_split(cohort: Cohort, recipe: Recipe) -> Cohort:
    """All studies where the recipe names no split."""
    split = recipe.data.split
    return studies_of(cohort, split) if split or not len(cohort) else cohort


def that_teach(studies: Cohort, recipe: Recipe) -> Cohort:
    """Those that have what no term of the method does without: others would be read and looked at for nothing, and
    where samples are compared, fewer would be compared than a batch seems to hold.
    """
    if learns_from_masks(recipe):
        studies = with_masks(studies)
    needs = recipe.text_needs
    return with_texts(studies, recipe, needs) if needs is not None and needs.required else studies


def learns_from_masks(recipe: Recipe) -> bool:
    needs = recipe.text_needs
    return recipe.window_needs is not None or (needs is not None and needs.organs is not None)


def with_masks(studies: Cohort) -> Cohort:
    """Those in which something is marked."""
    marked = studies.index.filter(pl.col("mask_checksum").is_not_null())
    if marked.height == 0:
        raise SimcropError(
            "no-masks",
            f"{studies.path}: none of its {len(studies)} studies has a mask to learn from; `simcrop ingest` stores "
            "those of a data set beside its scans",
        )
    return replace(studies, index=marked)


def with_texts(studies: Cohort, recipe: Recipe, needs: TextNeeds) -> Cohort:
    """Those of which something is said."""
    if needs.organs is not None:
        there = concluded(studies, needs.organs)
    else:
        reports = studies.index.select("findings", "impression").iter_rows()
        there = [bool(texts_of(Report(*both), needs.unit)) for both in reports]
    if not any(there):
        raise no_texts(studies, recipe)
    return replace(studies, index=studies.index.filter(pl.Series(there)))


def no_texts(studies: Cohort, recipe: Recipe, among: str = "") -> SimcropError:
    """`among`: which studies were asked, where not all."""
    unit = None if recipe.text_needs is None else recipe.text_needs.unit
    return SimcropError(
        "no-reports",
        f"{studies.path}: none of its {len(studies)} studies{among} has {WHAT[unit]}, and {recipe.method} "
        "learns from reports; put them into reports.csv beside the scans and ingest again",
    )


def samples_of(studies: Cohort, recipe: Recipe, rows: Sequence[Study] | None = None) -> Dataset:
    """One crop of each scan, at a finer spacing as well, or windows, where the method wants them. `rows`: the same
    studies, where loading processes share them.
    """
    spec, needs = recipe.input.spec, recipe.window_needs
    each: Cohort | Sequence[Study] = studies if rows is None else rows
    if needs is not None:
        refuse_other_cuts(recipe)
        check_stored_at(studies[0], spec)
        return StudyWindows(each, spec, needs, numbers_of(recipe.class_names, studies.classes))
    mispaired = recipe.data.mispaired
    scan_of = derangement(studies.index["patient"].to_list(), recipe.seed) if mispaired else None
    half = triple([n // 2 for n in recipe.input.patch]) if recipe.aug.crop == "shifted" else HERE
    anywhere, flip = recipe.aug.crop == "random", recipe.aug.flip_lr
    if recipe.fine_scale > 1:
        check_stored_finer(studies[0], spec, recipe.fine_scale)
        return FineCrops(each, spec, recipe.fine_scale, anywhere, flip, scan_of, half)
    return StudyCrops(each, spec, anywhere, flip, scan_of, recipe.wants_masks, half)


def shared_index(studies: Cohort, recipe: Recipe, context: DistributedContext) -> Sequence[Study] | None:
    """Their rows in a file that every process maps, which one writes; None where nothing is kept beside the cohort."""
    if not recipe.text.cache_sentences:
        return None
    path = index_file(studies.path / KEPT, studies)
    found = found_index(path, studies)
    if context.any_rank(found is None):
        found = keep_index(path, studies) if context.is_main else found
        context.barrier()
    return found or found_index(path, studies)


def refuse_other_cuts(recipe: Recipe) -> None:
    """Settings about one crop of each scan, and its report, where windows are drawn."""
    if recipe.aug != AugSettings() or recipe.data.mispaired or recipe.input.centre != "scan":
        raise SimcropError(
            "bad-setting",
            f"{recipe.method} draws windows of scans: aug, data.mispaired and input.centre are not about them",
        )


def of_share(recipe: Recipe) -> str:
    """For a refusal that a larger share might not meet."""
    share = recipe.data.share
    return f" that data.share = {share:g} leaves (a larger share leaves more)" if share < 1 else ""
