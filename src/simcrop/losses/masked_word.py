"""What a hidden word costs that is said again (Eq. 6).

Axes: m masked word piece, w word of the vocabulary.
"""

from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import cross_entropy


def masked_word_loss(logits: Float[Tensor, "m w"], target: Int[Tensor, " m"]) -> Float[Tensor, ""]:
    """Cross-entropy averaged over the masked word pieces of the batch (Eq. 6); none gives a 0 with a gradient."""
    if len(target) == 0:
        return logits.sum() * 0.0
    return cross_entropy(logits.float(), target)
