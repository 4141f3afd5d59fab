"""A network that follows another: the same layers, each weight a running mean of the other's.

No axes. Its weights are buffers: a gradient, an optimiser and weight decay know parameters alone, while a checkpoint
holds both.
"""

from copy import deepcopy

import torch
from torch import nn


def follower(leader: nn.Module) -> nn.Module:
    """The same network with the same weights, none of which is a parameter."""
    copy = deepcopy(leader)
    for module in copy.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            delattr(module, name)
            module.register_buffer(name, parameter.detach())
    return copy


@torch.no_grad()
def follow(follower: nn.Module, leader: nn.Module, momentum: float) -> None:
    """Each weight keeps `momentum` of itself and takes the rest from the leader's."""
    own = dict(follower.named_buffers())
    for name, parameter in leader.named_parameters():
        # Where the leader is spread over processes, one whole weight at a time.
        whole = getattr(parameter, "full_tensor", parameter.detach)()
        own[name].lerp_(whole, 1 - momentum)
