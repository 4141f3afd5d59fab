"""What every method answers, so that nothing outside this folder ever asks which method it is.

A method is one file of this folder and one YAML per size in `recipes/`; see `registry.py` for how it is found.

Axes: b study, v visible patches, s text, d features, e features that patches and texts share.
"""

import re
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from simcrop.data.samples.batch import Batch
from simcrop.data.samples.dataset import Sample
from simcrop.data.samples.windows import WindowNeeds
from simcrop.losses import Compared
from simcrop.nn.encoder import VisionEncoder
from simcrop.nn.text_encoder import TextEncoder
from simcrop.nn.vit import VisionSettings
from simcrop.objectives.needs import Components, TextNeeds
from simcrop.settings import Settings

TOP_SHARE = 0.05  # of the patches: those that score a sentence
# Added to features and multiplied with nothing: a table of positions, a token.
STANDS_ALONE = re.compile(r"(^|[._])(position|token)(_\w+)?(\.weight)?$")


@dataclass(frozen=True)
class Term:
    """One term of a method's loss. `weight`: its factor in the sum; `words`: what it is, for the page of a run;
    `compares_samples`: it depends on which samples share a batch; the method says how (`scores`, `contrast`);
    `each_once`: it takes the other samples for other studies, so that one that is there twice is told from itself;
    `aligns`: it brings images and texts together, so that a run is asked whether it needs the image.
    """

    weight: float
    words: str
    compares_samples: bool = False
    each_once: bool = False
    aligns: bool = False


@dataclass(frozen=True)
class Account:
    """What a method is, in a few words each, for `simcrop methods`. `hides`: of scan and report, to be made again;
    `contrasts`: what is brought together and kept apart; `reads`: of a study; `needs`: beside scans and reports;
    `source`: whose method it is.
    """

    hides: str = ""
    contrasts: str = ""
    reads: str = "scan"
    needs: str = ""
    source: str = ""


Parts = Mapping[str, Tensor | Compared]


class Objective(nn.Module):
    """A method in training. `forward` gives each of its `terms` by name, without its weight: a mean over what counts
    in this batch, or, where samples are compared, what there is to compare. A global batch may lie in several
    micro-batches and processes: means are weighed by `counts`, and what is compared is brought together first.
    """

    vision: VisionEncoder

    @property
    def terms(self) -> dict[str, Term]:
        """What its loss is made of."""
        raise NotImplementedError

    @property
    def skips_parameters(self) -> bool:
        """Whether some trained parameters get no gradient."""
        return False

    @property
    def runs_always(self) -> list[nn.Module]:
        """Parts that all processes run equally often in a step, whatever lies in their batches."""
        parts = [self.vision, getattr(self, "vision_decoder", None)]
        return [part for part in parts if part is not None]

    def rate_of(self, name: str) -> float:
        """Factor of the learning rate of a parameter, as of heads that learn faster than what they sit on."""
        del name
        return 1.0

    def starts_late(self, name: str) -> bool:
        """Whether a parameter rests for `optim.head_first_epochs`."""
        del name
        return False

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

    def started(self) -> None:
        """Told once, when `vision` has the weights that a new run starts from."""

    def begins(self, epoch: float, epochs: int) -> None:
        """Told before each step: how many of all `epochs` have passed, from the first step to the last of any run."""

    def ends(self, epoch: float, epochs: int, total: Callable[[Tensor], Tensor]) -> None:
        """Told after each step that has changed the weights; `total` gives the sum over all processes. What it keeps
        between steps lies in buffers, which a checkpoint holds.
        """

    def draw(self, batch: Batch, seed: int, first: int = 0) -> Batch:
        """The batch, still on the processor, with all that is random about it, most of it in `drawn`: a function of its
        samples' seeds, the step's `seed`, and the place of its `first` sample in the global batch.
        """
        del seed, first
        return batch

    def counts(self, batch: Batch) -> dict[str, int]:
        """Over how many each of the terms is a mean in this batch; as a rule its studies."""
        return dict.fromkeys(self.terms, len(batch))

    def forward(self, batch: Batch) -> Parts:
        raise NotImplementedError

    def compared(self, batch: Batch) -> dict[str, Compared]:
        """What `forward` gives of the terms that compare samples, perhaps for less."""
        return {name: part for name, part in self(batch).items() if isinstance(part, Compared)}

    def scores(self, name: str, compared: Compared) -> Float[Tensor, "s b"]:
        """How well each text goes with each image, for a term that compares samples."""
        raise NotImplementedError

    def contrast(self, name: str, scores: Float[Tensor, "s b"], compared: Compared) -> Float[Tensor, ""]:
        """That term, of the scores of a whole global batch; of `compared` only the texts' side counts."""
        raise NotImplementedError

    def losses(self, batch: Batch, seed: int = 0) -> dict[str, Tensor]:
        """Every term of a batch, on the processor, that is a global batch by itself."""
        return self.settled(self(self.draw(batch, seed).to(self.vision.device)))

    def settled(self, parts: Parts) -> dict[str, Tensor]:
        """The terms, where one batch is all there is to compare."""
        return {
            name: self.contrast(name, self.scores(name, part), part) if isinstance(part, Compared) else part
            for name, part in parts.items()
        }


class ProjectionHead(nn.Module):
    """Brings the patches and the texts of one model into one space; what grounding needs beside the encoders."""

    def patches(self, features: Float[Tensor, "b v d"]) -> Float[Tensor, "b v e"]:
        raise NotImplementedError

    def sentences(self, features: Float[Tensor, "s d"]) -> Float[Tensor, "s e"]:
        raise NotImplementedError


class MethodSettings(Settings):
    """Settings of a method, and the answers that follow from them. The answers here are those of a method that learns
    from volumes alone.

    `name`: what recipes call it; `verb`: the command that trains it. `kept`: beginnings of the names of the parameters
    that a model for use keeps; the rest serves training alone. `architecture`: groups of settings that say how large
    its networks are, which a comparison gives to all methods alike. `account`: the method in a few words.
    """

    name: ClassVar[str]
    verb: ClassVar[str] = "pretrain"
    kept: ClassVar[tuple[str, ...]] = ("vision.",)
    architecture: ClassVar[tuple[str, ...]] = ("vision",)
    account: ClassVar[Account] = Account()

    vision: VisionSettings = VisionSettings()

    @abstractmethod
    def build(self, components: Components) -> Objective:
        """The method, ready to be trained."""

    def kept_as(self, name: str) -> str | None:
        """What a parameter or buffer of the training is called in a model for use; None where it is not kept."""
        return name if name.startswith(self.kept) else None

    @property
    def text_needs(self) -> TextNeeds | None:
        """What it wants of the reports; None when it reads none."""
        return None

    @property
    def wants_masks(self) -> bool:
        """Whether a batch carries the data set's own label volumes, cut as its scans are."""
        return False

    @property
    def fine_scale(self) -> int:
        """How many times as fine as the input, along each axis, a batch carries every crop as well (`Batch.fine`); such
        a cohort is stored at that spacing. At 1 it carries none.
        """
        return 1

    @property
    def window_needs(self) -> WindowNeeds | None:
        """How windows are drawn from each scan, whose masks come as numbers of its `class_names`; None when a batch has
        one crop of each scan, and its mask as the data set has it.
        """
        return None

    @property
    def class_names(self) -> tuple[str, ...]:
        """Classes of the masks that it learns, empty for all that the cohort names."""
        return ()

    def class_settings(self, names: tuple[str, ...]) -> dict[str, Any]:
        """What changes once the cohort has told which classes there are."""
        del names
        return {}

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

    def scored(self, patches: int) -> int:
        """Of so many patches, how many are averaged to score a sentence in a scan: as a rule a twentieth."""
        return max(1, round(TOP_SHARE * patches))

    def boxes(self, patches: int) -> int:
        """Of so many patches, how many are shown as those nearest to a sentence: as a rule a tenth."""
        return max(1, patches // 10)
