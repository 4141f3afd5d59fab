"""How many of a scan's nearest patches count for a sentence: as many as are asked for, and never more than there are.

No axes or units.
"""

from simcrop.errors import SimcropError
from simcrop.model import Model


def scored_patches(model: Model, asked: int | None, usual: int) -> int:
    """`asked` (`--top-k`), refused where a scan has fewer patches; without, the `usual` number, or all."""
    if asked is not None and asked > model.grid.count:
        raise SimcropError(
            "bad-setting", f"--top-k {asked}: this model cuts a scan into {model.grid.count} patches, no more"
        )
    return min(asked or usual, model.grid.count)
