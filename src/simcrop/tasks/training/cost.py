"""What training a recipe costs: operations and memory of a step, counted without computing it, and parameters.

No axes. Operations are floating-point operations of products, a multiplication and an addition each; memory in bytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd.graph import saved_tensors_hooks
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

from simcrop.config import Recipe
from simcrop.data.samples.batch import Batch
from simcrop.objectives.method import Objective
from simcrop.tasks.training.typical import Typical, typical

SCANS = 2  # in the step that is counted: fewer some methods cannot compare
WEIGHT, HALF = 4, 2  # bytes of a number in fp32 and in bf16

Shape = Sequence[int]


@dataclass(frozen=True)
class Cost:
    """Of a training step in bf16, per scan (per window where a method learns from windows), forward and backward.

    `gflop_per_scan`: 10^9 operations of all matrix products and convolutions, those inside attention included; what is
    computed a second time to save memory is not counted, nor are sums, norms, GELU and the optimiser, nor the texts of
    a frozen text encoder, which are encoded once per cohort. Texts are of median length (`typical.py`).
    `forward_share`: how much of it is forward; `again_share`: how much of it a first look at a micro-batch takes, once
    samples are compared over several of them; 0 where none are.

    `trained`, `total`: parameters that learn, and all of them, frozen text encoder and teacher included; `kept`: those
    that a model for use keeps, but for the text encoder that it carries.

    `bytes_per_scan`: what the backward pass needs of the forward pass, but for the weights; `bytes_fixed`: weights, for
    those that learn also gradient and both moments of AdamW, in fp32, and a copy in bf16. Their sum over a batch is
    a lower bound of the peak: working memory of single operations comes on top.
    """

    gflop_per_scan: float
    forward_share: float
    again_share: float
    trained: int
    total: int
    kept: int
    bytes_per_scan: int
    bytes_fixed: int

    def bytes_of_batch(self, scans: int) -> int:
        """So many scans at once on one device."""
        return self.bytes_fixed + scans * self.bytes_per_scan


def cost_of(recipe: Recipe) -> Cost:
    """Counted on tensors without numbers, so that a paper-sized recipe takes a second or two and little memory."""
    made = typical(recipe, SCANS)
    mode = FakeTensorMode(allow_non_fake_inputs=True)
    objective = without_weights(made)
    batch = objective.draw(made.batch, seed=0).to(torch.device("cpu")).each(mode.from_tensor)
    with mode:
        forward, backward, kept = counted(objective.to_empty(device="cpu"), batch)
        again = first_look(objective, batch)
    numbers = {name: t.numel() for name, t in objective.state_dict().items() if t.is_floating_point()}
    trained = sum(p.numel() for p in objective.parameters() if p.requires_grad)
    total = sum(numbers.values())
    return Cost(
        gflop_per_scan=(forward + backward) / SCANS / 1e9,
        forward_share=forward / (forward + backward),
        again_share=again / (forward + backward),
        trained=trained,
        total=total,
        kept=sum(count for name, count in numbers.items() if made.recipe.kept_as(name) is not None),
        bytes_per_scan=kept // SCANS,
        bytes_fixed=total * (WEIGHT + HALF) + trained * 3 * WEIGHT,
    )


def without_weights(made: Typical) -> Objective:
    """The method in training, with shapes for weights."""
    if made.components.text is not None:
        made.components.text.to_empty(device="meta")
    with NoWeights():
        return made.recipe.build(made.components).train()


class NoWeights(TorchFunctionMode):
    """What layers make room for gets a shape alone, so that nothing is drawn or held for it. Numbers that decide how a
    network is built, as ids of words, are there.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is torch.empty and kwargs.get("device") is None:
            kwargs = {**kwargs, "device": "meta"}
        return func(*args, **kwargs)


def counted(objective: Objective, batch: Batch) -> tuple[int, int, int]:
    """Operations forward and backward, and the bytes that the one leaves for the other."""
    left = Left(objective)
    with FlopCounterMode(display=False, custom_mapping=ATTENTION) as counter:
        with saved_tensors_hooks(left.pack, left.unpack), torch.autocast("cpu", torch.bfloat16):
            terms = objective.settled(objective(batch))
            loss = torch.stack([objective.terms[name].weight * term for name, term in terms.items()]).sum()
        forward = counter.get_total_flops()
        loss.backward()
        whole = counter.get_total_flops()
    return forward, whole - forward, sum(left.sizes.values())


def first_look(objective: Objective, batch: Batch) -> int:
    """Operations of what brings about what samples are compared by."""
    if not any(term.compares_samples for term in objective.terms.values()):
        return 0
    with (
        FlopCounterMode(display=False, custom_mapping=ATTENTION) as counter,
        torch.autocast("cpu", torch.bfloat16),
    ):
        objective.compared(batch)
    return counter.get_total_flops()


class Left:
    """Bytes of all storages that are kept for the backward pass, but for the weights and their copies in bf16."""

    def __init__(self, objective: nn.Module) -> None:
        self.weights = {parameter.shape for parameter in objective.parameters()}
        self.sizes: dict[int, int] = {}
        self.kept: list[Tensor] = []  # or another storage would get the number of one that is gone

    def pack(self, tensor: Tensor) -> Tensor:
        whole = tensor if tensor._base is None else tensor._base
        if whole.shape not in self.weights:
            self.kept.append(tensor)
            storage = tensor.untyped_storage()
            self.sizes[storage._cdata] = storage.nbytes()
        return tensor

    def unpack(self, tensor: Tensor) -> Tensor:
        return tensor


def attention(query: Shape, key: Shape, value: Shape, *_: Any, **__: Any) -> int:
    """Scores and their weighted sum."""
    batch, heads, queries, width = query
    return 2 * batch * heads * queries * key[2] * (width + value[3])


def attention_backward(_: Shape, query: Shape, key: Shape, value: Shape, *__: Any, **___: Any) -> int:
    """Gradients of weights, values, queries and keys; that scores are computed again is no work that is wanted."""
    return 2 * attention(query, key, value)


# Torch's counter knows the kernels of a card and not the one of a processor.
ATTENTION = {
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: attention,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: attention_backward,
}
