"""What every method answers, so that nothing outside this folder ever asks which method it is.

A method is one file of this folder and one YAML per size in `recipes/`; see `registry.py` for how it is found.

Axes: b study, v visible patches, s text, d features, e features that patches and texts share.
"""

import re
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from simcrop.data.samples.batch import Batch, Unit
from simcrop.data.samples.dataset import Sample
from simcrop.data.samples.tokenizer import Tokenizer
from simcrop.errors import SimcropError
from simcrop.nn.encoder import VisionEncoder
from simcrop.nn.patch import PatchGrid
from simcrop.nn.text_encoder import Pool, TextEncoder
from simcrop.nn.vit import VisionSettings
from simcrop.settings import Settings

# Added to features and multiplied with nothing: a table of positions, a token.
STANDS_ALONE = re.compile(r"(^|[._])(position|token)(_\w+)?(\.weight)?$")


@dataclass(frozen=True)
class Term:
    """One term of a method's loss. `weight`: its factor in the sum; `words`: what it is, for the page of a run;
    `compares_samples`: it depends on which samples share a batch, so that micro-batches and more processes change it;
    `aligns`: it brings images and texts together, so that a run is asked whether it needs the image.
    """

    weight: float
    words: str
    compares_samples: bool = False
    aligns: bool = False


@dataclass(frozen=True)
class TextNeeds:
    """What a method wants of the reports. `unit`: which texts meet the image, and `pool`: how each becomes one vector;
    `centred`: their mean is known beforehand; `predicted`: whole reports come as word pieces, too, to be predicted
    among all pieces of the tokenizer or among those that the cohort uses (`compact`); `skip_attention`: a sentence is
    sought among patches that do not see each other.
    """

    unit: Unit
    pool: Pool
    centred: bool = False
    predicted: Literal["no", "full", "compact"] = "no"
    skip_attention: bool = False


@dataclass(frozen=True, eq=False)
class Components:
    """What a method may be built from; it takes what it asked for. `vocabulary`: ids of the words that it may have to
    predict, all when None; `center`: mean feature of the texts; `patch_mm`: edges of a patch.
    """

    grid: PatchGrid
    text: TextEncoder | None = None
    tokenizer: Tokenizer | None = None
    vocabulary: Int[Tensor, " w"] | None = None
    center: Float[Tensor, " e"] | None = None
    patch_mm: tuple[float, float, float] | None = None

    @property
    def reader(self) -> tuple[TextEncoder, Tokenizer]:
        """The text side of a method that cannot do without."""
        if self.text is None or self.tokenizer is None:
            raise SimcropError("bad-setting", "this method learns from reports and needs a text encoder")
        return self.text, self.tokenizer


class Objective(nn.Module):
    """A method in training. `forward` gives each of its `terms` by name, without its weight."""

    vision: VisionEncoder

    @property
    def terms(self) -> dict[str, Term]:
        """What its loss is made of."""
        raise NotImplementedError

    @property
    def skips_parameters(self) -> bool:
        """Whether some trained parameters get no gradient."""
        return False

    def rate_of(self, name: str) -> float:
        """Factor of the learning rate of a parameter, as of heads that learn faster than what they sit on."""
        del name
        return 1.0

    def decays(self, name: str, parameter: Tensor) -> bool:
        """Whether weight decay acts on a parameter: as a rule on the weights of linear layers and convolutions, as in
        MAE, word heads and maps that start as the identity among them; not on biases, norms, tokens and positions.
        """
        return parameter.ndim >= 2 and not STANDS_ALONE.search(name)

    def depth_of(self, name: str) -> int | None:
        """Layer of the vision encoder that a parameter belongs to, from 0 for the embedding; None for all else."""
        if not name.startswith("vision."):
            return None
        return self.vision.depth_of(name.removeprefix("vision."))

    def forward(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        raise NotImplementedError


class ProjectionHead(nn.Module):
    """Brings the patches and the texts of one model into one space; what grounding needs beside the encoders."""

    def patches(self, features: Float[Tensor, "b v d"]) -> Float[Tensor, "b v e"]:
        raise NotImplementedError

    def sentences(self, features: Float[Tensor, "s d"]) -> Float[Tensor, "s e"]:
        raise NotImplementedError


class MethodSettings(Settings):
    """Settings of a method, and the answers that follow from them. The answers here are those of a method that learns
    from volumes alone.

    `name`: what recipes call it. `kept`: beginnings of the names of the parameters that a model for use keeps; the
    rest serves training alone. `architecture`: groups of settings that say how large its networks are, which a
    comparison gives to all methods alike.
    """

    name: ClassVar[str]
    kept: ClassVar[tuple[str, ...]] = ("vision.",)
    architecture: ClassVar[tuple[str, ...]] = ("vision",)

    vision: VisionSettings = VisionSettings()

    @abstractmethod
    def build(self, components: Components) -> Objective:
        """The method, ready to be trained."""

    @property
    def text_needs(self) -> TextNeeds | None:
        """What it wants of the reports; None when it reads none."""
        return None

    @property
    def wants_masks(self) -> bool:
        """Whether a batch carries the data set's own label volumes, cut as its scans are."""
        return False

    def extra(self, samples: Sequence[Sample]) -> Mapping[str, Tensor]:
        """Further tensors of a batch by name, each with one row per sample."""
        del samples
        return {}

    @property
    def label_names(self) -> tuple[str, ...] | None:
        """Labels that it learns, empty for all that the cohort has; None when it learns none."""
        return None

    def label_settings(self, names: tuple[str, ...]) -> dict[str, Settings]:
        """The groups that change once the cohort has told which labels there are."""
        del names
        return {}

    def projection_head(self, text: TextEncoder) -> ProjectionHead | None:
        """Where patches meet sentences; None when they never do."""
        del text
        return None

    def label_head(self) -> nn.Module | None:
        """From patch features to a score per label; None when it learns none."""
        return None

    def boxes(self, patches: int) -> int:
        """Of so many patches, how many are shown as those nearest to a sentence: as a rule a tenth."""
        return max(1, patches // 10)
