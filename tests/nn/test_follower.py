"""A network that follows another: what it keeps, what it takes, and who knows of it."""

import torch
from torch import nn

from simcrop.nn.follower import follow, follower


def test_it_answers_as_its_leader_until_that_one_moves_and_then_follows() -> None:
    torch.manual_seed(0)
    leader = nn.Sequential(nn.Linear(3, 5), nn.LayerNorm(5), nn.Linear(5, 2))
    copy, x = follower(leader), torch.randn(4, 3)
    assert torch.equal(copy(x), leader(x))
    assert not list(copy.parameters())
    assert copy.state_dict().keys() == leader.state_dict().keys()
    assert len(list(leader.parameters())) == 6

    before = copy[0].weight.clone()
    with torch.no_grad():
        for parameter in leader.parameters():
            parameter += 1
    assert torch.equal(copy[0].weight, before)
    follow(copy, leader, 0.75)
    torch.testing.assert_close(copy[0].weight, before + 0.25)
