"""How high in the chest a sentence is sought, where it says so: an option that is not in the paper.

Axes: s sentence, n patch, x y z patches (right, front, up). After losses that compare a softmax over slices with a
Gaussian around the slice of a finding. Reports seldom name a slice; what they name is a lobe, so this is coarser.
"""

import torch
from einops import rearrange, reduce
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor

from simcrop import losses
from simcrop.data.samples.batch import Batch, Sentences
from simcrop.errors import SimcropError
from simcrop.nn.masking import Mask
from simcrop.nn.patch import PatchGrid
from simcrop.objectives.own_image import Look, OptionSettings, OwnImageTerm


class LevelSettings(OptionSettings):
    """Only assertions count that name one lobe or zone, lower, middle or upper. `heights`: where the middle of each
    lies, as a share of the input's height from the feet, which holds where inputs are cut around the lungs or the
    middle of the scan; `sigma_mm`: of the Gaussian. 24 mm and a weight of 0.004 are reported for slices; a lobe is
    higher.
    """

    weight: float = Field(default=0.004, ge=0)
    heights: tuple[float, float, float] = (0.35, 0.5, 0.65)
    sigma_mm: float = Field(default=40.0, gt=0)


class Level(OwnImageTerm):
    """The term `level`."""

    words = "sentences that name a lobe, against its height (our option)"

    def __init__(self, settings: LevelSettings, grid: PatchGrid, patch_height_mm: float) -> None:
        super().__init__()
        self.settings, self.grid = settings, grid
        self.register_buffer("targets", self.layers(patch_height_mm), persistent=False)

    targets: Tensor

    def layers(self, patch_height_mm: float) -> Float[Tensor, "3 z"]:
        """For each level the share of every layer of patches."""
        count, heights = self.grid.shape[2], torch.tensor(self.settings.heights)
        middles = (torch.arange(count) + 0.5) * patch_height_mm
        away = middles - heights[:, None] * count * patch_height_mm
        return (-(away**2) / (2 * self.settings.sigma_mm**2)).softmax(-1)

    def count(self, batch: Batch) -> int:
        return int(states_level(batch.sentences).sum())

    def forward(self, look: Look) -> Float[Tensor, ""]:
        sentences = look.batch.sentences
        index, known = sentences.image_index, states_level(sentences)
        similarity = losses.own_products(look.sentences, look.patches, index, sentences.most)
        whole = on_grid(similarity, look.mask, index)
        return level_cross_entropy(
            whole.view(len(whole), *self.grid.shape),
            self.targets[levels_of(sentences).clamp(min=0)],
            known,
            self.settings.temperature,
        )


def on_grid(similarity: Float[Tensor, "s v"], mask: Mask | None, image_index: Tensor) -> Float[Tensor, "s n"]:
    """Of all patches; -inf where one was not seen."""
    if mask is None:
        return similarity
    empty = similarity.new_full((len(similarity), mask.masked.shape[1]), -torch.inf)
    return empty.scatter(1, mask.keep[image_index], similarity)


def levels_of(sentences: Sentences) -> Tensor:
    if sentences.level is None:
        raise SimcropError("bad-batch", "the batch does not say which levels its sentences state")
    return sentences.level


def states_level(sentences: Sentences) -> Bool[Tensor, " s"]:
    return levels_of(sentences) >= 0


def level_cross_entropy(
    similarity: Float[Tensor, "s x y z"],
    target: Float[Tensor, "s z"],
    known: Bool[Tensor, " s"],
    temperature: float = 0.07,
) -> Float[Tensor, ""]:
    """A softmax over all patches of the sentence's own image, summed within each layer from the feet to the head,
    against the share of it that each layer should have; the mean over sentences whose `target` is `known`. Patches that
    were not seen are -inf; none known gives a 0 with a gradient.
    """
    shares = (rearrange(similarity, "s x y z -> s (x y z)").float() / temperature).softmax(-1)
    layers = reduce(shares.view(similarity.shape), "s x y z -> s z", "sum")
    # A layer of which nothing was seen costs what it costs, and has no gradient.
    cost = -(target * layers.clamp(min=1e-6).log()).sum(-1)
    return (cost * known).sum() / known.sum().clamp(min=1)
