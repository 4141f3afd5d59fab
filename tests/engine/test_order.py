"""Which sample comes when: nothing but the seed and the step decides."""

import pytest

from simcrop.engine.order import MicroBatchSampler, RankShare, SampleDraw, SampleOrder, step_seed

ORDER = SampleOrder(count=7, batch=3, seed=11)


def test_resumed_run_sees_the_draws_it_would_have_seen() -> None:
    whole = [draw for step in range(20) for draw in ORDER.draws(step)]
    resumed = [draw for step in range(13, 20) for draw in SampleOrder(7, 3, 11).draws(step)]
    assert resumed == whole[13 * 3 :]


def test_every_epoch_is_a_permutation_and_no_two_are_alike() -> None:
    stream = [ORDER.draw(position).index for position in range(7 * 5)]
    epochs = [tuple(stream[at : at + 7]) for at in range(0, 35, 7)]
    assert all(sorted(epoch) == list(range(7)) for epoch in epochs)
    assert len(set(epochs)) == 5


def test_every_draw_has_its_own_seed_and_another_run_others() -> None:
    seeds = [ORDER.draw(position).seed for position in range(500)]
    assert len(set(seeds)) == 500
    assert not set(seeds) & {SampleOrder(7, 3, 12).draw(position).seed for position in range(500)}
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_seeds_for_different_purposes_differ() -> None:
    samples = {step_seed(0, 1, position) for position in range(50)}
    steps = {
        step_seed(0, 2, step, micro, rank) for step in range(5) for micro in range(3) for rank in range(2)
    }
    assert len(samples) == 50
    assert len(steps) == 30
    assert not samples & steps


def test_no_batch_is_smaller_than_the_others_where_an_epoch_ends() -> None:
    assert {len(ORDER.draws(step)) for step in range(20)} == {3}  # of seven studies


def test_epochs_passed_by_hand() -> None:
    assert ORDER.epoch(7) == 3.0


@pytest.mark.parametrize(("world", "micro"), [(1, 12), (2, 3), (3, 2), (4, 1)])
def test_shares_of_all_processes_are_the_global_batch_once(world: int, micro: int) -> None:
    draws = [SampleDraw(i, i) for i in range(12)]
    shares = [RankShare(rank, world, micro).of(draws) for rank in range(world)]
    assert [draw for share in shares for part in share for draw in part] == draws
    assert {len(part) for share in shares for part in share} == {micro}


def test_sampler_gives_the_micro_batches_of_the_steps_asked_for() -> None:
    order, share = SampleOrder(count=5, batch=6, seed=1), RankShare(rank=1, world=2, micro=1)
    sampler = MicroBatchSampler(order, share, start=2, stop=5)
    assert list(sampler) == [part for step in (2, 3, 4) for part in share.of(order.draws(step))]
    assert len(sampler) == len(list(sampler)) == 9
