"""What a batch costs beside the products that are wanted: bytes to the device, and computing on padding.

Axes: b study, x y z voxels. The lengths of reports are real, all else is made-up.
"""

from typing import Any

import torch

from simcrop.config import Recipe
from simcrop.data.report import Report
from simcrop.data.samples.batch import Batch
from simcrop.data.samples.collate import Collate
from simcrop.data.samples.dataset import Sample
from simcrop.nn.length_groups import length_groups

# Word pieces of CT-RATE's validation reports in MiniLM's vocabulary, at 5, 15, ... 95 % of them; cut at 512.
REPORT_LENGTHS = (187, 234, 260, 286, 316, 346, 377, 427, 489, 512)


def travel(recipe: Recipe, device: torch.device) -> dict[str, Any]:
    """For one batch of the recipe, its reports left out of the bytes: they are a thousandth."""
    studies, batch = recipe.optim.batch, hu_batch(recipe)
    lengths = [REPORT_LENGTHS[i % len(REPORT_LENGTHS)] for i in range(studies)]
    together = sum(len(group) * lengths[group[-1]] for group in length_groups(lengths))
    return {
        "studies": studies,
        "bytes_to_device": bytes_of(batch),
        "bytes_as_the_network_reads_it": bytes_of(batch.to(device)),
        "padding": round(1 - sum(lengths) / (studies * max(lengths)), 3),
        "padding_in_groups": round(1 - sum(lengths) / together, 3),
    }


def hu_batch(recipe: Recipe) -> Batch:
    """Volumes as they leave a loading process, in HU; without reports."""
    crop = torch.zeros(1, *recipe.input.shape, dtype=torch.int16)
    sample = Sample("made-up", crop, Report("", ""), window_hu=recipe.input.spec.window_hu)
    batch = Collate()([sample] * recipe.optim.batch)
    if not isinstance(batch, Batch):
        raise batch
    return batch


def bytes_of(batch: Batch) -> int:
    sizes: list[int] = []

    def counted(tensor: torch.Tensor) -> torch.Tensor:
        sizes.append(tensor.nbytes)
        return tensor

    batch.each(counted)
    return sum(sizes)
