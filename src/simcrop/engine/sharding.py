"""A module whose parameters are spread over processes (FSDP2): each keeps its part of every one, and of the optimiser.

No axes or units. Layers that all processes run alike are brought together one at a time, when they are needed; all else
is brought together for the time of a step, since which of it a process runs may hang on its batch, and processes that
wait for one another must do the same things in the same order. What is not trained lies whole in each process, and so
does a trained number without axes, whose gradient is averaged here.
"""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from inspect import signature
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from simcrop.engine.distributed import DistributedContext
from simcrop.errors import SimcropError


@dataclass(frozen=True)
class Together:
    """All processes that hold a part. `group`: a way for them to speak while the training speaks over another; `mesh`:
    the same, as parts in the computer's memory know it.
    """

    rank: int
    group: Any
    mesh: Any

    def each(self, mine: Any) -> list[Any]:
        """What each process says, in the order of ranks."""
        said: list[Any] = [None] * dist.get_world_size(self.group)
        dist.all_gather_object(said, mine, group=self.group)
        return said


def together_of(module: nn.Module) -> Together | None:
    """Who holds the module's parts; None of a module that is whole here."""
    return getattr(module, "together", None)


def is_part(tensor: Tensor) -> bool:
    """Whether only a part of it lies here."""
    return hasattr(tensor, "full_tensor")  # a DTensor, without importing what it is made of


def spread(module: nn.Module, context: DistributedContext, may_skip: bool) -> "Spread":
    """The module, from now on with a part of each trained parameter; its layers are found in what it `runs_always`."""
    refuse_old_torch()
    from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
    from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method

    mesh = init_device_mesh(context.device.type, (context.world,))
    whole = {p for p in module.parameters() if not p.requires_grad or p.ndim == 0}
    for layer in (layer for part in getattr(module, "runs_always", ()) for layer in layers_of(part)):
        fully_shard(layer, mesh=mesh, reshard_after_forward=True, ignored_params=whole)
    fully_shard(module, mesh=mesh, reshard_after_forward=False, ignored_params=whole)
    if hasattr(module, "compared"):
        register_fsdp_forward_method(module, "compared")
    group = dist.new_group(backend="gloo")
    module.together = Together(context.rank, group, DeviceMesh.from_group(group, "cpu"))  # type: ignore[assignment]
    return Spread(module, context, may_skip)


def refuse_old_torch() -> None:
    """One whose checkpoints of parts would have to be pickled, or that cannot leave parameters whole."""
    from torch.distributed import checkpoint
    from torch.distributed.fsdp import fully_shard

    writer = getattr(checkpoint, "HuggingFaceStorageWriter", object)
    if (
        "save_distributed" not in signature(writer).parameters
        or "ignored_params" not in signature(fully_shard).parameters
    ):
        raise SimcropError(
            "old-torch",
            f"engine.sharding = full needs a newer torch than {torch.__version__}: update it, or set "
            "engine.sharding=none; a run can be continued with either",
        )


def layers_of(part: nn.Module) -> Iterator[nn.Module]:
    """What the lists in it hold, the outermost ones, where any of it is trained."""
    for child in part.children():
        if isinstance(child, nn.ModuleList):
            yield from (layer for layer in child if any(p.requires_grad for p in layer.parameters()))
        else:
            yield from layers_of(child)


class Spread:
    """Called as the module is, and asked for what DDP's wrapper is asked for. `may_skip`: a batch may leave parameters
    without a gradient, which must not differ from process to process.
    """

    def __init__(self, module: nn.Module, context: DistributedContext, may_skip: bool) -> None:
        self.module: Any = module
        self.context, self.may_skip = context, may_skip
        trained = [p for p in module.parameters() if p.requires_grad]
        self.loose = [p for p in trained if not is_part(p)]
        self.zeros: dict[int, list[Tensor]] = {}
        self.waits = False

    def __call__(self, *given: Any) -> Any:
        with warnings.catch_warnings():
            # A method may give a view, of which nobody here changes anything in place.
            warnings.filterwarnings("ignore", "FSDP2-wrapped module")
            return self.module(*given)

    @contextmanager
    def no_sync(self) -> Iterator[None]:
        """Another micro-batch follows. Parts are averaged all the same: a sum of whole gradients would fill the memory
        that is to be saved.
        """
        self.waits = True
        try:
            yield
        finally:
            self.waits = False

    def backward(self, ends: Sequence[Tensor], gradients: Sequence[Tensor | None]) -> None:
        """As `torch.autograd.backward`, with the mean over processes."""
        if self.may_skip:
            self.reach_all()
        torch.autograd.backward(ends, gradients)
        if not self.waits:
            self.average_loose()
            self.forget_unreached()

    def reach_all(self) -> None:
        """Zeros for whatever lies whole here at this moment, so that each process brings a gradient of it."""
        for number, parameter in enumerate(self.module.parameters()):
            if parameter.requires_grad and not is_part(parameter) and parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
                self.zeros.setdefault(number, []).append(parameter.grad)

    def average_loose(self) -> None:
        if not self.loose:
            return
        found = [torch.zeros_like(p) if p.grad is None else p.grad for p in self.loose]
        means = self.context.mean(torch.stack(found))
        for parameter, mean in zip(self.loose, means, strict=True):
            parameter.grad = mean

    def forget_unreached(self) -> None:
        """Zeros that nowhere anything was added to are no gradient: the optimiser leaves such a parameter alone."""
        zeros, self.zeros = self.zeros, {}
        mine = [int(any(zero._version > 0 for zero in of_one)) for of_one in zeros.values()]
        reached = self.context.sum(mine) if mine else []
        parameters = list(self.module.parameters())
        for number, times in zip(zeros, reached, strict=True):
            if times == 0:
                parameters[number].grad = None


@contextmanager
def brought_together(module: Any) -> Iterator[None]:
    """All but its layers is whole meanwhile, so that parts of the module can be asked by themselves."""
    if together_of(module) is None:
        yield
        return
    module.unshard()
    try:
        yield
    finally:
        module.reshard()


def total_norm(gradients: Sequence[Tensor]) -> Tensor:
    """Of all gradients together, whole or in parts."""
    parts = [g for g in gradients if is_part(g)]
    whole = [g for g in gradients if not is_part(g)]
    if not parts:
        return torch.nn.utils.get_total_norm(whole)
    of_parts: Any = torch.nn.utils.get_total_norm(parts)
    found = of_parts.full_tensor()
    # That of no gradients would lie on the processor, and a card would wait for it.
    return torch.hypot(torch.nn.utils.get_total_norm(whole), found) if whole else found


def clip(parameters: Sequence[Tensor], most: float, norm: Tensor) -> None:
    """Gradients of this `norm` together, as small as all of them must be for a norm of `most`."""
    for parts in (False, True):
        some = [p for p in parameters if is_part(p) == parts]
        torch.nn.utils.clip_grads_with_norm_(some, most, norm)


@torch.no_grad()
def gather_whole(module: nn.Module) -> None:
    """Each parameter whole again in the main process, to be written; one after the other, by all processes together.
    The module can not be trained any further.
    """
    together = together_of(module)
    if together is None:
        return
    for part in module.modules():
        getattr(part, "reshard", lambda: None)()
    for part in module.modules():
        for name, parameter in list(part._parameters.items()):
            if parameter is not None and is_part(parameter):
                whole = parameter.full_tensor()  # type: ignore[operator]
                if together.rank == 0:
                    part._parameters[name] = nn.Parameter(whole.cpu())
