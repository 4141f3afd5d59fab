"""What every method answers, so that nothing outside this folder ever asks which method it is.

A method is one file with its settings and its objective, one recipe class in `config.py`, and one YAML per size.

Axes: b study, v visible patches, s text, d features, e features that patches and texts share.
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from simcrop.data.samples.batch import Batch, Unit
from simcrop.data.samples.tokenizer import Tokenizer
from simcrop.errors import SimcropError
from simcrop.nn.patch import PatchGrid
from simcrop.nn.text import Pool, TextEncoder
from simcrop.nn.vision import VisionEncoder, VisionSettings
from simcrop.settings import Settings


@dataclass(frozen=True)
class TextNeeds:
    """What a method wants of the reports. `unit`: which texts meet the image, and `pool`: how each becomes one vector;
    `centred`: their mean is known beforehand; `spelled`: whole reports come as word pieces, too, to be guessed among
    all pieces of the tokenizer or among those that the cohort uses (`compact`); `alone`: a sentence is sought among
    patches that do not see each other.
    """

    unit: Unit
    pool: Pool
    centred: bool = False
    spelled: Literal["no", "full", "compact"] = "no"
    alone: bool = False


@dataclass(frozen=True, eq=False)
class Components:
    """What a method may be built from; it takes what it asked for. `vocabulary`: ids of the words that it may have to
    spell, all when None; `center`: mean feature of the texts.
    """

    grid: PatchGrid
    text: TextEncoder | None = None
    tokenizer: Tokenizer | None = None
    vocabulary: Int[Tensor, " w"] | None = None
    center: Float[Tensor, " e"] | None = None

    @property
    def reader(self) -> tuple[TextEncoder, Tokenizer]:
        """The text side of a method that cannot do without."""
        if self.text is None or self.tokenizer is None:
            raise SimcropError("bad-setting", "this method learns from reports and needs a text encoder")
        return self.text, self.tokenizer


class Objective(nn.Module):
    """A method in training. `forward` gives one named, unweighted term per loss; `weights` say how they add up."""

    vision: VisionEncoder

    @property
    def weights(self) -> dict[str, float]:
        """The factor of each term."""
        raise NotImplementedError

    @property
    def skips_parameters(self) -> bool:
        """Whether some trained parameters get no gradient."""
        return False

    def depth_of(self, name: str) -> int | None:
        """Layer of the vision encoder that a parameter belongs to, from 0 for the embedding; None for all else."""
        if not name.startswith("vision."):
            return None
        parts = name.split(".")
        if "blocks" in parts:
            return int(parts[parts.index("blocks") + 1]) + 1
        return None if "norm" in parts else 0

    def forward(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        raise NotImplementedError


class ProjectionHead(nn.Module):
    """Where the patches and the texts of one model meet; what grounding needs beside the encoders."""

    def patches(self, features: Float[Tensor, "b v d"]) -> Float[Tensor, "b v e"]:
        raise NotImplementedError

    def sentences(self, features: Float[Tensor, "s d"]) -> Float[Tensor, "s e"]:
        raise NotImplementedError


class MethodSettings(Settings):
    """Settings of a method, and the answers that follow from them. The answers here are those of a method that learns
    from volumes alone.
    """

    vision: VisionSettings = VisionSettings()

    @abstractmethod
    def build(self, parts: Components) -> Objective:
        """The method, ready to be trained."""

    @property
    def reading(self) -> TextNeeds | None:
        """What it wants of the reports; None when it reads none."""
        return None

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
