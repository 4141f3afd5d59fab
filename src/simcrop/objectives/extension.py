"""What SimCroP may be asked beyond the paper: sentences and images of a batch, and options on the same pass.

Axes: b study, n all patches, s sentence, e features that sentences and patches share.
"""

from collections.abc import Mapping

from jaxtyping import Bool, Float
from torch import Tensor, nn

from simcrop.data.samples.batch import Batch
from simcrop.losses import Compared
from simcrop.nn.masking import Mask
from simcrop.nn.patch import PatchGrid
from simcrop.objectives.alignment import AlignSettings
from simcrop.objectives.cross_image import CrossImage
from simcrop.objectives.draws import Draws
from simcrop.objectives.method import Parts, Term
from simcrop.objectives.needs import Prompts
from simcrop.objectives.opposite import Opposite
from simcrop.objectives.own_image import Look


class Extension(nn.Module):
    """The term `cross_image` and its options, on a pass of their own that sees more of the volume."""

    def __init__(
        self,
        settings: AlignSettings,
        grid: PatchGrid,
        patch_mm: tuple[float, float, float] | None = None,
        prompts: Prompts | None = None,
    ) -> None:
        super().__init__()
        self.settings, self.patch_count = settings, grid.count
        self.cross_image = CrossImage(settings.cross_image, patch_mm)
        self.opposite = Opposite(settings.opposite) if settings.opposite.enabled else None
        self.own_image = settings.own_image_terms(grid, patch_mm, prompts)

    @property
    def terms(self) -> dict[str, Term]:
        """As a method names its terms."""
        words = "sentences and images of a batch (our extension)"
        cross, opposite = self.settings.cross_image, self.settings.opposite
        terms = {"cross_image": Term(cross.weight, words, compares_samples=True, aligns=True)}
        if self.opposite is not None:
            terms["opposite"] = Term(opposite.weight, Opposite.words, compares_samples=True, aligns=True)
        return terms | self.own_image.terms(self.settings.options)

    def draw(self, draws: Draws) -> dict[str, Tensor]:
        """What is random about its pass."""
        return self.cross_image.draw(draws, self.patch_count)

    def view(self, drawn: Mapping[str, Tensor], body: Bool[Tensor, "b n"] | None) -> tuple[Mask | None, bool]:
        """What that pass sees, None everything, and whether attention is left out of it."""
        return self.cross_image.view(drawn, body)

    def nearest(self, patches: Float[Tensor, "b n e"]) -> int:
        """How many patches of an image are averaged for a sentence at most."""
        return self.cross_image.most_of(patches)

    def counts(self, batch: Batch) -> dict[str, int]:
        """Over how many the terms that ask each image alone are means."""
        return self.own_image.counts(batch)

    def forward(self, look: Look) -> Parts:
        return {**self.compared(look), **self.own_image(look)}

    def compared(self, look: Look) -> dict[str, Compared]:
        """The terms that compare the samples of a batch."""
        found = {"cross_image": self.cross_image.compared(look.sentences, look.patches, look.batch.sentences)}
        if self.opposite is not None:
            found["opposite"] = self.opposite.compared(look)
        return found

    def scores(self, name: str, compared: Compared) -> Float[Tensor, "s b"]:
        """How well each sentence goes with each image."""
        if name == "opposite" and self.opposite is not None:
            return self.opposite.scores(compared, self.nearest(compared.images))
        return self.cross_image.scores(compared)

    def contrast(self, name: str, scores: Float[Tensor, "s b"], compared: Compared) -> Float[Tensor, ""]:
        """Such a term, of the scores of a whole global batch."""
        if name == "opposite" and self.opposite is not None:
            return self.opposite(scores, compared)
        return self.cross_image(scores, compared)
