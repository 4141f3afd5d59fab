"""A sentence against what contradicts it: an option that is not in the paper.

Axes: b image, s sentence (of all reports, flat), two the sentence and its opposite, k kind of finding, e features that
sentences and patches share. After the opposite-sentence losses of COLIPRI (Wald et al. 2025) and FlexiCT.
"""

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import logsigmoid

from simcrop import losses
from simcrop.errors import SimcropError
from simcrop.losses import Compared
from simcrop.objectives.own_image import Look, OptionSettings


class OppositeSettings(OptionSettings):
    """An assertion must score its own scan above its denial, a denial above its assertion: each by the mean of its own
    nearest patches, as models are asked later. And the other way round in those scans of the batch whose reports
    contradict it: without them the words alone tell which of the two reports say, and nothing of a scan is learned.
    Sentences that no rule turns round, and those that no report of the batch contradicts, do not count.
    """


class Opposite:
    """The term `opposite`. `k`: patches that are nearest to a sentence, of so many."""

    words = "sentences and what contradicts them, in scans of a batch (our option)"

    def __init__(self, settings: OppositeSettings) -> None:
        self.settings = settings

    def compared(self, look: Look) -> Compared:
        """What there is to compare."""
        sentences = look.batch.sentences
        opposite, claims = sentences.opposite, sentences.claims
        if opposite is None or claims is None:
            raise SimcropError("bad-batch", "the batch carries no opposites of its sentences")
        both = torch.stack([look.sentences, look.read(opposite)], dim=1)
        known = (opposite.sentence_id != sentences.sentence_id).long()
        facts = {"claims": claims, "known": known}
        return Compared(both, look.patches, sentences.image_index, facts, {})

    def scores(self, compared: Compared, k: int) -> Float[Tensor, "s b"]:
        """By how much each sentence scores each image above its opposite."""
        flat = rearrange(compared.texts, "s two e -> (s two) e")
        found = losses.region_scores(flat, compared.images, k)
        said, turned = rearrange(found, "(s two) b -> two s b", two=2)
        return said - turned

    def __call__(self, scores: Float[Tensor, "s b"], compared: Compared) -> Float[Tensor, ""]:
        facts = compared.facts
        return opposite_bce(
            scores, compared.image_index, facts["claims"], facts["known"] > 0, self.settings.temperature
        )


def contradicted(
    image_index: Int[Tensor, " s"], claims: Int[Tensor, "s k"], images: int
) -> Bool[Tensor, "s b"]:
    """Which sentences the other images' reports contradict. `claims`: 1 where a sentence asserts a kind of finding, -1
    where it denies one. A report denies what it nowhere asserts; an assertion is contradicted where all that it names
    is denied, a denial where anything that it names is asserted.
    """
    own = (image_index[:, None] == torch.arange(images, device=image_index.device)).float()
    says, denies = (claims > 0).float(), (claims < 0).float()
    found = own.T @ says > 0
    absent = (own.T @ denies > 0) & ~found
    named = says.sum(1, keepdim=True)
    against = ((says @ absent.float().T == named) & (named > 0)) | (denies @ found.float().T > 0)
    return against & (own == 0)


def opposite_bce(
    above: Float[Tensor, "s b"],
    image_index: Int[Tensor, " s"],
    claims: Int[Tensor, "s k"],
    known: Bool[Tensor, " s"],
    temperature: float = 0.07,
) -> Float[Tensor, ""]:
    """A sentence must score its own image above its opposite, and below it where a report contradicts it; `above` is by
    how much it does. Half of the cost of a sentence is its own image's, half the mean of those that contradict it, so
    that words alone gain nothing; the mean over sentences whose opposite is `known` and that have both.
    """
    logits = above.float() / temperature
    against = contradicted(image_index, claims, above.shape[1])
    right = -logsigmoid(logits.gather(1, image_index[:, None])[:, 0])
    wrong = (-logsigmoid(-logits) * against).sum(1) / against.sum(1).clamp(min=1)
    counts = known & against.any(1)
    return ((right + wrong) / 2 * counts).sum() / counts.sum().clamp(min=1)
