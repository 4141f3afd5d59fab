"""Whether scans are mirrored under texts that name a side, in one line. No axes or units."""

from simcrop.config import Recipe
from simcrop.data.class_sides import SIDE
from simcrop.data.store.cohort import Cohort


def mirrored_words(studies: Cohort, recipe: Recipe) -> str:
    """Nothing where no text is read, or none of these reports says left or right."""
    if not recipe.aug.flip_lr or recipe.text_needs is None:
        return ""
    texts = studies.index.select("findings", "impression").iter_rows()
    if not any(SIDE.search(text or "") for both in texts for text in both):
        return ""
    return (
        "aug.flip_lr mirrors half of the scans, and reports that say left or right stay as they are: half of those "
        "sentences will be wrong; --set aug.flip_lr=false"
    )
