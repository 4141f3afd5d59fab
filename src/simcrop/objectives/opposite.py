"""A sentence against what contradicts it, in its own image: an option that is not in the paper.

Axes: s sentence, e features that sentences and patches share. After the opposite-sentence losses of COLIPRI (Wald et
al. 2025) and FlexiCT; theirs ask whole images and prompts, this asks what reports say, where they say it.
"""

from jaxtyping import Bool, Float
from torch import Tensor

from simcrop import losses
from simcrop.data.samples.batch import Batch, Sentences
from simcrop.errors import SimcropError
from simcrop.objectives.own_image import Look, OwnImageSettings, OwnImageTerm


class OppositeSettings(OwnImageSettings):
    """An assertion must score its own scan above its denial, a denial above its assertion: each by the mean of its own
    nearest patches, as models are asked later. Sentences that no rule turns round do not count.
    """


class Opposite(OwnImageTerm):
    """The term `opposite`."""

    words = "sentences and what contradicts them, within a scan (our option)"

    def __init__(self, settings: OppositeSettings) -> None:
        super().__init__()
        self.settings = settings

    def count(self, batch: Batch) -> int:
        return int(turned_round(batch.sentences).sum())

    def forward(self, look: Look) -> Float[Tensor, ""]:
        sentences = look.batch.sentences
        turned = look.read(opposite_of(sentences))
        return losses.opposite_nce(
            own_scores(look, look.sentences),
            own_scores(look, turned),
            turned_round(sentences),
            self.settings.temperature,
        )


def own_scores(look: Look, sentences: Float[Tensor, "s e"]) -> Float[Tensor, " s"]:
    """Mean of the largest dot products of each sentence in its own image."""
    of_batch = look.batch.sentences
    similarity = losses.own_products(sentences, look.patches, of_batch.image_index, of_batch.most)
    return similarity.topk(look.k).values.mean(-1)


def opposite_of(sentences: Sentences) -> Sentences:
    if sentences.opposite is None:
        raise SimcropError("bad-batch", "the batch carries no opposites of its sentences")
    return sentences.opposite


def turned_round(sentences: Sentences) -> Bool[Tensor, " s"]:
    """Which sentences have an opposite: the others stand for themselves."""
    return opposite_of(sentences).sentence_id != sentences.sentence_id
