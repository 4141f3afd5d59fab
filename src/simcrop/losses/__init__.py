"""Every loss as a pure function of tensors; weights, gathering and logging live elsewhere.

Axes: b image or report, n patch, p voxel of a patch, s sentence (of all reports of a batch, flat), d features,
m masked word, w word of the vocabulary; of label volumes c class, x y z voxels.
"""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from einops import einsum, rearrange, reduce, repeat
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import cross_entropy, embedding, logsigmoid, normalize

DICE_FLOOR = 1e-6  # voxels: a class that is neither there nor thought to be is divided by this


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


def masked_patch_mse(
    reconstruction: Float[Tensor, "b n p"], target: Float[Tensor, "b n p"], masked: Bool[Tensor, "b n"]
) -> Float[Tensor, ""]:
    """Mean squared error over the voxels of masked patches; visible ones do not count (Eq. 1)."""
    error = (reconstruction - target).square().mean(-1)
    return (error * masked).sum() / masked.sum().clamp(min=1)


def normalized_patches(patches: Float[Tensor, "b n p"]) -> Float[Tensor, "b n p"]:
    """Each patch with zero mean and unit variance: the target when `mim.norm_pix` is on (MAE)."""
    mean, variance = patches.mean(-1, keepdim=True), patches.var(-1, keepdim=True)
    return (patches - mean) / (variance + 1e-6).sqrt()


def products(a: Tensor, b: Tensor, axes: str) -> Tensor:
    """Dot products in the precision of their inputs: bf16 errors, divided by a temperature of 0.07, would show."""
    with torch.autocast(a.device.type, enabled=False):
        return einsum(a, b, axes)


def nearest_patches(
    sentences: Float[Tensor, "s d"], patches: Float[Tensor, "s n d"], k: int
) -> Float[Tensor, "s d"]:
    """Average of the `k` patches with the largest dot product with each sentence (Eq. 2-3); a `k` above n means all.

    Which patches are chosen carries no gradient; their features do.
    """
    similarity = products(sentences, patches, "s d, s n d -> s n")
    chosen = similarity.topk(min(k, patches.shape[1])).indices
    return reduce(
        patches.gather(1, repeat(chosen, "s k -> s k d", d=patches.shape[-1])), "s k d -> s d", "mean"
    )


def own_products(
    sentences: Float[Tensor, "s d"],
    patches: Float[Tensor, "b n d"],
    image_index: Int[Tensor, " s"],
    most: int | None = None,
) -> Float[Tensor, "s n"]:
    """Dot products of each sentence with the patches of its own image, `most` sentences an image, without a copy of all
    patches for every one of them.
    """
    own = image_index[:, None] == torch.arange(len(patches), device=image_index.device)
    place = own.cumsum(0).gather(1, image_index[:, None])[:, 0] - 1  # of a sentence among those of its image
    most = int(own.sum(0).max()) if most is None else most
    beside = sentences.new_zeros(len(patches), most, sentences.shape[1])
    beside = beside.index_put((image_index, place), sentences)
    return products(beside, patches, "b m d, b n d -> b m n")[image_index, place]


def nearest_patches_of(
    sentences: Float[Tensor, "s d"],
    patches: Float[Tensor, "b n d"],
    image_index: Int[Tensor, " s"],
    k: int,
    most: int | None = None,
) -> Float[Tensor, "s d"]:
    """`nearest_patches(sentences, patches[image_index], k)` without a copy of all patches for every sentence, and each
    sentence sought in its own image alone. `most`: no image has more sentences; known, a GPU need not be waited for.
    """
    patch_count = patches.shape[1]
    with torch.no_grad():
        similarity = own_products(sentences, patches, image_index, most)
        chosen = similarity.topk(min(k, patch_count)).indices
    # As an embedding, whose backward pass adds in one order on any number of threads; that of indexing does not.
    rows = chosen + image_index[:, None] * patch_count
    return reduce(embedding(rows, rearrange(patches, "b n d -> (b n) d")), "s k d -> s d", "mean")


def info_nce(
    regions: Float[Tensor, "s d"],
    sentences: Float[Tensor, "s d"],
    image_index: Int[Tensor, " s"],
    temperature: float = 0.07,
    l2: bool = True,
) -> Float[Tensor, ""]:
    """Region to sentence and sentence to region within each report, both directions summed (Eq. 4).

    The mean over sentences of a report, then over reports with two sentences or more. A batch without such a report
    gives a 0 that can be back-propagated. `l2` normalises both sides first; the paper does not say.
    """
    if l2:
        regions, sentences = normalize(regions, dim=-1), normalize(sentences, dim=-1)
    return paired_nce(products(regions, sentences, "i d, j d -> i j").float() / temperature, image_index)


def paired_nce(logits: Float[Tensor, "s s"], image_index: Int[Tensor, " s"]) -> Float[Tensor, ""]:
    """Each row must find its own column among those of its image, and each column its row: what `info_nce` makes of
    similarities divided by the temperature.
    """
    same_report = image_index[:, None] == image_index[None, :]
    logits = logits.masked_fill(~same_report, float("-inf"))
    target = torch.arange(len(image_index), device=image_index.device)
    # A sentence alone in its report meets only itself and costs exactly 0 in both directions.
    cost = cross_entropy(logits, target, reduction="none") + cross_entropy(logits.T, target, reduction="none")
    size = same_report.sum(1)
    counts = size >= 2
    # One for each report that counts; where none does, the sum above it is 0, and so is its gradient.
    reports = (counts / size).sum().clamp(min=0.5)
    return (cost * counts / size).sum() / reports


def region_scores(
    sentences: Float[Tensor, "s d"],
    patches: Float[Tensor, "b n d"],
    k: int | Int[Tensor, " s"],
    most: int | None = None,
) -> Float[Tensor, "s b"]:
    """Mean of the `k` largest dot products of every sentence in every image; `k` of all, or one for each sentence.
    `most`: no `k` is larger; known, a GPU need not be waited for.
    """
    similarity = products(sentences, patches, "s d, b n d -> s b n")
    if isinstance(k, int):
        return similarity.topk(min(k, patches.shape[1])).values.mean(-1)
    if most is None:
        most = int(k.max()) if len(k) else 1
    largest = similarity.topk(min(most, patches.shape[1])).values
    counted = torch.arange(largest.shape[-1], device=k.device) < k[:, None, None]
    return (largest * counted).sum(-1) / counted.sum(-1)


def says_same(
    image_index: Int[Tensor, " s"], sentence_id: Int[Tensor, " s"], images: int
) -> tuple[Bool[Tensor, "s b"], Bool[Tensor, "s b"]]:
    """Whose image each sentence belongs to, and whose report says it, too: no image to tell it from."""
    own = image_index[:, None] == torch.arange(images, device=image_index.device)[None, :]
    return own, (sentence_id[:, None] == sentence_id[None, :]).float() @ own.float() > 0


def cross_image_nce(
    scores: Float[Tensor, "s b"],
    image_index: Int[Tensor, " s"],
    sentence_id: Int[Tensor, " s"],
    discriminative: Bool[Tensor, " s"],
    temperature: float = 0.07,
    both: bool = False,
) -> Float[Tensor, ""]:
    """Each sentence must find its own image among those of the batch. Our extension, not in the paper.

    `image_index`: number of the sentence's own image; `sentence_id`: equal for equal sentences, so that another image
    whose report says the same is left out; `discriminative`: sentences rare enough to tell images apart. A batch
    without a comparison gives a 0 that can be back-propagated.

    `both`: half of it the other way round: each image must find its sentences, one at a time, among those that other
    reports say and its own does not (after RadZero).
    """
    own, same = says_same(image_index, sentence_id, scores.shape[1])
    logits = scores.float() / temperature
    cost = cross_entropy(logits.masked_fill(same & ~own, float("-inf")), image_index, reduction="none")
    counts = discriminative & (~same).any(1)
    sentence_finds = (cost * counts).sum() / counts.sum().clamp(min=1)
    if not both:
        return sentence_finds
    itself = torch.eye(len(image_index), dtype=torch.bool, device=scores.device)
    others = (~same & discriminative[:, None]).T[image_index]  # what each sentence's image must be told from
    asked = logits.T[image_index].masked_fill(~(others | itself), float("-inf"))
    cost = cross_entropy(asked, torch.arange(len(image_index), device=scores.device), reduction="none")
    counts = discriminative & others.any(1)
    return (sentence_finds + (cost * counts).sum() / counts.sum().clamp(min=1)) / 2


def cross_image_sigmoid(
    scores: Float[Tensor, "s b"],
    image_index: Int[Tensor, " s"],
    sentence_id: Int[Tensor, " s"],
    discriminative: Bool[Tensor, " s"],
    log_scale: Float[Tensor, ""],
    bias: Float[Tensor, ""],
) -> Float[Tensor, ""]:
    """The same question asked of each pair alone: does this sentence belong to this image (SigLIP)? Summed over the
    images, averaged over the sentences.
    """
    own, same = says_same(image_index, sentence_id, scores.shape[1])
    logits = scores.float() * log_scale.exp() + bias
    cost = -logsigmoid(torch.where(own, logits, -logits))
    counts = discriminative & (~same).any(1)
    return ((cost * (own | ~same)).sum(1) * counts).sum() / counts.sum().clamp(min=1)


def organ_nce(
    logits: Float[Tensor, "s s"],
    organ: Int[Tensor, " s"],
    text: Int[Tensor, " s"],
    normal: Bool[Tensor, " s"],
    intact: Bool[Tensor, " s"],
    organs: int,
) -> Float[Tensor, ""]:
    """Each organ of an image must find its text among those of the same organ in the batch, and each text its organ;
    the mean of both directions and of the studies, summed over organs (fVLM).

    `logits`: of text i and the image of text j. Only `intact` organs are compared. Targets are soft: of two normal
    organs, or equal texts (`text`: the same number), each is as right for the other as its own. An organ counts if it
    is abnormal in some study, and if there is anything to tell apart. A batch without one gives a 0 with a gradient.
    """
    same = (organ[:, None] == organ) & intact[:, None] & intact
    itself = torch.eye(len(organ), dtype=torch.bool, device=logits.device)
    alike = (normal[:, None] & normal) | (text[:, None] == text)
    positive = (same & alike).float()
    target = positive / positive.sum(1, keepdim=True).clamp(min=1)
    seen = logits.float().masked_fill(~(same | itself), float("-inf"))
    chance = [side.log_softmax(1).masked_fill(~same, 0.0) for side in (seen, seen.T)]
    cost = -(target * (chance[0] + chance[1])).sum(1) / 2

    mine = (organ[:, None] == torch.arange(organs, device=organ.device)) & intact[:, None]
    told_apart = (same & ~alike).any(1)
    counts = (mine & ~normal[:, None]).any(0) & (mine & told_apart[:, None]).any(0)
    mean = (cost[:, None] * mine).sum(0) / mine.sum(0).clamp(min=1)
    return (mean * counts).sum()


def masked_word_loss(logits: Float[Tensor, "m w"], target: Int[Tensor, " m"]) -> Float[Tensor, ""]:
    """Cross-entropy averaged over the masked word pieces of the batch (Eq. 6); none gives a 0 with a gradient."""
    if len(target) == 0:
        return logits.sum() * 0.0
    return cross_entropy(logits.float(), target)


class DiceCE(NamedTuple):
    """Two terms of a segmentation's loss, each without a weight."""

    dice: Tensor
    cross_entropy: Tensor


def dice_ce(
    logits: Float[Tensor, "b c x y z"], target: Int[Tensor, "b x y z"], squared: bool = True
) -> DiceCE:
    """1 - Dice of the class probabilities, each class in each image by itself and then the mean over both, and the mean
    cross-entropy of all voxels.

    A class that an image does not have costs 1 there, whatever is said of it. `squared`: in the denominator stand the
    squares of the probabilities.
    """
    log_chance = rearrange(logits, "b c x y z -> b c (x y z)").float().log_softmax(1)
    chance, index = log_chance.exp(), rearrange(target, "b x y z -> b (x y z)")
    # One softmax for both terms, and of each voxel only its own class is looked up: no volume of ones for each class.
    own = log_chance.gather(1, index[:, None])[:, 0]
    none = chance.new_zeros(chance.shape[:2])
    overlap = none.scatter_add(1, index, own.exp())
    have = none.scatter_add(1, index, torch.ones_like(own))
    said = (chance.square() if squared else chance).sum(2)
    return DiceCE((1 - 2 * overlap / (said + have + DICE_FLOOR)).mean(), -own.mean())
