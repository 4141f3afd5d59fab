"""Where an encoder starts: foreign weights, principal components, and what is usual in the cohort it will learn from.

Axes: n patch, p voxel of a patch, d features; voxels on the [-1, 1] scale of the input.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from simcrop.config import Recipe
from simcrop.data.preprocess import InputSpec
from simcrop.data.samples.dataset import cut
from simcrop.data.samples.reading import OTHERS, read_patiently
from simcrop.data.store.cohort import Cohort
from simcrop.engine.progress import Progress, silent
from simcrop.errors import SimcropError
from simcrop.groups import InitSettings
from simcrop.nn.transformer import Attention
from simcrop.nn.vit import ViT
from simcrop.objectives.method import Objective
from simcrop.tasks.training.start_from import from_mae, from_model
from simcrop.weights.mae import init_patch_embed_by_pca

PCA_PATCHES = 20_000
SCANS = 256  # for what is usual at each place: its mean is then a sixteenth of a deviation off


def start_encoder(
    objective: Objective, recipe: Recipe, studies: Cohort, show: Callable[[], Progress] = lambda: silent
) -> dict[str, Any] | None:
    """Another model's encoder, ImageNet MAE weights, principal components, the cohort's atlas: what the recipe asks
    for. Which weights it starts from, for the records, if they are of elsewhere.

    What is usual is learned from a sample of the cohort, the same for the same seed; `show` makes a progress for
    each look at it, none where nothing is looked at.
    """
    if recipe.init.model is not None:
        return from_model(objective, recipe, recipe.init.model).record
    vision, start = objective.vision, None
    seen = CohortSample(studies, recipe, show)
    if not isinstance(vision, ViT):
        if recipe.init != InitSettings():
            raise SimcropError(
                "bad-setting", "the settings of init are about a ViT, which this encoder is not"
            )
        return None
    if recipe.init.patch_embed == "pca" and (vision.atlas is not None or vision.windows):
        raise SimcropError(
            "bad-setting",
            "init.patch_embed = pca reads plain patches: not with vision.atlas or vision.windows",
        )
    if recipe.init.mae is not None and recipe.init.attention_out != 1:
        raise SimcropError("bad-setting", "init.attention_out scales a random start: not with init.mae")
    scale_attention_output(vision, recipe.init.attention_out)
    if vision.atlas is not None:
        vision.atlas.learn(*mean_and_deviation(seen.scans()))
    if vision.statistics is not None:
        vision.statistics.learn(*mean_and_deviation(map(vision.statistics.measure, seen.scans())))
    if recipe.init.mae is not None:
        start = from_mae(objective, vision, recipe, recipe.init.mae)
    if recipe.init.patch_embed == "pca":
        init_patch_embed_by_pca(vision, some_patches(studies, recipe))
    if recipe.init.position == "centred":
        centre_positions(vision, seen)
    return start and start.record


@torch.no_grad()
def scale_attention_output(vision: ViT, scale: float) -> None:
    """What attention adds to a token at the start, times `scale`."""
    for module in vision.transformer.modules():
        if isinstance(module, Attention):
            module.proj.weight *= scale


@torch.no_grad()
def centre_positions(vision: ViT, seen: "CohortSample") -> None:
    """Take what is usual at each place away from its learned code."""
    if not isinstance(vision.position, nn.Parameter):
        raise SimcropError("bad-setting", "init.position = centred needs vision.pos_embed = learned")
    total, count = torch.zeros_like(vision.position), 0
    for patches in seen.scans():
        total += vision.embed(patches if vision.atlas is None else vision.atlas(patches))[0]
        count += 1
    vision.position -= total / count


class CohortSample:
    """Training studies that what is usual is learned from."""

    def __init__(self, studies: Cohort, recipe: Recipe, show: Callable[[], Progress]) -> None:
        self.studies, self.recipe, self.show = studies, recipe, show
        order = np.random.default_rng((recipe.seed, 7)).permutation(len(studies)).tolist()
        self.chosen = sorted(order[:SCANS])
        self.others = order[SCANS:]  # in place of those that cannot be read

    def scans(self) -> Iterator[Tensor]:
        """The centred crop of each as patches `(1, n, p)`."""
        progress, most = self.show(), len(self.chosen)
        crops = readable_crops(self.studies, (*self.chosen, *self.others), self.recipe.input.spec)
        for done, volume in enumerate(islice(crops, most), 1):
            yield self.recipe.input.grid.split(volume)
            progress(done, most, "scans looked at for what is usual at each place")


def readable_crops(studies: Cohort, order: Iterable[int], spec: InputSpec) -> Iterator[Tensor]:
    """The middle of each scan in this order, `(1, 1, x, y, z)`, but for those that cannot be read: it is the training
    that names and counts them. Raises SimcropError where several in a row, or all, cannot be.
    """
    lost: list[SimcropError] = []
    found = False
    for index in order:
        try:
            volume = read_patiently(partial(cut, studies[index], spec, None))
        except SimcropError as error:
            lost.append(SimcropError(error.reason, f"study {studies[index].id}: {error.sentence}"))
            if error.reason == "bad-setting" or len(lost) > OTHERS:
                raise lost[-1] from error
            continue
        lost, found = [], True
        yield torch.from_numpy(volume)[None, None]
    if lost and not found:
        raise lost[-1]


def mean_and_deviation(scans: Iterator[Tensor]) -> tuple[Tensor, Tensor]:
    """Over scans `(1, ...)`, number by number."""
    total, squares, count = torch.zeros(()), torch.zeros(()), 0
    for scan in scans:
        exact = scan[0].double()
        total, squares, count = total + exact, squares + exact.square(), count + 1
    mean = total / count
    return mean.float(), (squares / count - mean.square()).clamp(min=0).sqrt().float()


def some_patches(studies: Cohort, recipe: Recipe) -> Tensor:
    """Patches of up to 64 studies, evenly chosen, for the principal components."""
    grid = recipe.input.grid
    chosen = range(0, len(studies), max(1, len(studies) // 64))
    every = torch.cat([grid.split(crop)[0] for crop in readable_crops(studies, chosen, recipe.input.spec)])
    return every[:: max(1, len(every) // PCA_PATCHES)]
