"""What a method may want of the reports, and what it is built from.

Axes: t template, l label, w word, d features, e features that patches and texts share.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from jaxtyping import Float, Int
from torch import Tensor

from simcrop.data.samples.batch import Unit
from simcrop.data.samples.tokenizer import Tokenizer
from simcrop.errors import SimcropError
from simcrop.nn.patch import PatchGrid
from simcrop.nn.text_encoder import Pool, TextEncoder


@dataclass(frozen=True)
class OrganNeeds:
    """Organs of which texts are wanted, in the method's order. `descriptions`, `conclusions`: JSON files of what is
    said of each in findings and conclusions, scan -> {organ: text}; without both, sentences are sorted by words.
    """

    names: tuple[str, ...]
    descriptions: str | None = None
    conclusions: str | None = None


@dataclass(frozen=True)
class TextNeeds:
    """What a method wants of the reports. `unit`: which texts meet the image, None where nothing but whole reports is
    read, word by word, and `pool`: how each becomes one vector; `encoder`: whether a text encoder reads them;
    `centred`: their mean is known beforehand; `predicted`: whole reports come as word pieces, too, to be predicted
    among all pieces of the tokenizer or among those that the cohort uses (`compact`); `skip_attention`: a sentence is
    sought among patches that do not see each other; `opposites`: each comes turned round, too; `levels`: with the level
    of the lungs that it names; `prompts`: the protocol whose sentences ask for labels, none where empty; `organs`: of
    which each report gives a text, where `unit` is organ; `required`: a study without such a text teaches nothing, and
    is left out.
    """

    unit: Unit | None
    pool: Pool = "cls"
    centred: bool = False
    predicted: Literal["no", "full", "compact"] = "no"
    skip_attention: bool = False
    opposites: bool = False
    levels: bool = False
    prompts: str = ""
    organs: OrganNeeds | None = None
    encoder: bool = True
    required: bool = False


@dataclass(frozen=True, eq=False)
class Prompts:
    """Sentences that ask for labels. `features`: of those that say yes, and of those that say no; `rarer`: how many
    studies lack each label for one that has it, 0 where all are alike and nothing can be learned.
    """

    features: Float[Tensor, "2 t l d"]
    rarer: Float[Tensor, " l"]


@dataclass(frozen=True, eq=False)
class Components:
    """What a method may be built from; it takes what it asked for. `vocabulary`: ids of the words that it may have to
    predict, all when None; `center`: mean feature of the texts; `patch_mm`: edges of a patch; `prompts`: what asks for
    labels; `classes`: what the numbers in masks stand for.
    """

    grid: PatchGrid
    text: TextEncoder | None = None
    tokenizer: Tokenizer | None = None
    vocabulary: Int[Tensor, " w"] | None = None
    center: Float[Tensor, " e"] | None = None
    patch_mm: tuple[float, float, float] | None = None
    prompts: Prompts | None = None
    classes: Mapping[int, str] = field(default_factory=dict)

    @property
    def reader(self) -> tuple[TextEncoder, Tokenizer]:
        """The text side of a method that cannot do without."""
        if self.text is None or self.tokenizer is None:
            raise SimcropError("bad-setting", "this method learns from reports and needs a text encoder")
        return self.text, self.tokenizer

    @property
    def spelling(self) -> Tokenizer:
        """Of a method that predicts words and reads them with no text encoder."""
        if self.tokenizer is None:
            raise SimcropError("bad-setting", "this method learns from reports and needs their word pieces")
        return self.tokenizer
