"""What a loss compares across samples, as the losses of contrast want it.

Axes: s text, b image, t word piece, d features.
"""

from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor


class Compared(NamedTuple):
    """Texts and images that a loss compares across samples, before they are: wherever a global batch lies in parts,
    these are brought together first.

    `texts`: `(s, d)`, or `(s, t, d)` of t word pieces; `images`: one row of any shape per image; `image_index`: `(s,)`,
    the row that a text belongs to; `facts`: what else is known of each text, a row each; `learned`: parameters of the
    cost itself. `first`: where the first of these images stands among all.
    """

    texts: Tensor
    images: Tensor
    image_index: Tensor
    facts: Mapping[str, Tensor]
    learned: Mapping[str, Tensor]
    first: int = 0
