"""Whole scans by windows: against MONAI where everything is computed, against a slow loop where air is left out."""

from itertools import product

import numpy as np
import pytest
import torch
from einops import rearrange, repeat
from torch import Tensor

from simcrop.errors import SimcropError
from simcrop.model.sliding_window import (
    UNLIKELY,
    at_once,
    gaussian,
    is_air,
    logit_slabs,
    sliding_logits,
    starts_along,
    tissue_box,
)

WINDOW = (8, 6, 4)
SHAPES = [(21, 17, 13), (8, 6, 4), (5, 17, 3), (9, 4, 13), (24, 18, 12)]
CHANNELS = 3


def network(windows: Tensor) -> Tensor:
    """Not the same at each place of a window, as a network with positions is not."""
    place = torch.linspace(0, 1, windows[0].numel()).reshape(windows.shape[1:])
    return torch.cat([windows + place, windows**2 - 2 * place, windows * place], dim=1)


def channels_last(windows: Tensor) -> Tensor:
    return network(windows).contiguous(memory_format=torch.channels_last_3d)


def made_scan(shape: tuple[int, int, int]) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0)) * 2 - 1


def by_monai(scan: Tensor, overlap: float) -> Tensor:
    from monai.inferers.utils import sliding_window_inference

    made = sliding_window_inference(
        scan[None, None], WINDOW, 3, network, overlap=overlap, mode="gaussian", cval=-1
    )
    assert isinstance(made, Tensor)
    return made[0]


def by_voxel(scan: Tensor, air: np.ndarray, overlap: float) -> Tensor:
    """Every voxel by itself, from the windows that hold it and more than air."""
    padded = [max(n, w) for n, w in zip(scan.shape, WINDOW, strict=True)]
    before = [(p - n) // 2 for p, n in zip(padded, scan.shape, strict=True)]
    volume, empty = torch.full(padded, -1.0), np.full(padded, True)
    there = tuple(slice(b, b + n) for b, n in zip(before, scan.shape, strict=True))
    volume[there], empty[there] = scan, air
    sums, weights = (
        torch.zeros(CHANNELS, *padded, dtype=torch.double),
        torch.zeros(padded, dtype=torch.double),
    )
    starts = [sorted({min(i * max(int(w * (1 - overlap)), 1), p - w) for i in range(p)}) for p, w in
              zip(padded, WINDOW, strict=True)]  # fmt: skip
    for corner in product(*starts):
        box = tuple(slice(c, c + w) for c, w in zip(corner, WINDOW, strict=True))
        if not empty[box].all():
            sums[:, *box] += network(volume[box][None, None])[0] * gaussian(WINDOW)
            weights[box] += gaussian(WINDOW)
    background = torch.tensor([0, *[UNLIKELY] * (CHANNELS - 1)])
    mean = torch.where(weights > 0, sums / weights, repeat(background, "c -> c 1 1 1").double())
    return mean[:, *there].float()


@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5, 0.8])
@pytest.mark.parametrize("shape", SHAPES)
def test_logits_are_those_of_monai_where_no_window_is_left_out(
    shape: tuple[int, int, int], overlap: float
) -> None:
    scan = made_scan(shape)
    ours = sliding_logits(scan, None, WINDOW, network, CHANNELS, overlap=overlap)
    torch.testing.assert_close(ours, by_monai(scan, overlap), atol=1e-5, rtol=0)


def half_air(shape: tuple[int, int, int]) -> np.ndarray:
    """A ball of tissue in air, and one lonely voxel far from it."""
    middle = np.array(shape) / 3
    off = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), -1) - middle
    air = (off**2).sum(-1) > 9
    air[-1, -1, -1] = False
    return air


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("batch", [1, 3])
def test_windows_of_air_are_left_out_and_nothing_else_changes(
    shape: tuple[int, int, int], batch: int
) -> None:
    scan, air = made_scan(shape), half_air(shape)
    ours = sliding_logits(scan, air, WINDOW, network, CHANNELS, batch=batch)
    torch.testing.assert_close(ours, by_voxel(scan, air, 0.5), atol=1e-5, rtol=0)
    tissue = ~torch.from_numpy(air)
    torch.testing.assert_close(ours[:, tissue], by_monai(scan, 0.5)[:, tissue], atol=1e-5, rtol=0)


def test_only_windows_with_tissue_are_computed_and_progress_tells_of_each() -> None:
    scan, air, told, seen = made_scan((24, 18, 12)), np.full((24, 18, 12), True), [], []
    air[10, 7, 5] = False  # in two windows along each axis
    sliding_logits(
        scan,
        air,
        WINDOW,
        lambda windows: (seen.append(windows.shape), network(windows))[1],
        CHANNELS,
        batch=1,
        progress=lambda done, total: told.append((done, total)),
    )
    assert seen == [(1, 1, *WINDOW)] * 8
    assert told == [(i, 8) for i in range(1, 9)]


def test_a_scan_of_air_is_background_without_a_look_at_it() -> None:
    def never(windows: Tensor) -> Tensor:
        raise AssertionError(windows.shape)

    made = sliding_logits(torch.full((10, 9, 8), -1.0), np.full((10, 9, 8), True), WINDOW, never, CHANNELS)
    assert made.shape == (CHANNELS, 10, 9, 8)
    assert (made.argmax(0) == 0).all()
    assert made.softmax(0)[0].min() > 1 - 1e-6


def test_rows_come_in_order_without_gaps_and_as_soon_as_they_are_finished() -> None:
    scan, seen = made_scan((21, 17, 13)), []
    slabs = logit_slabs(
        scan, None, WINDOW, lambda windows: (seen.append(1), network(windows))[1], CHANNELS, batch=1
    )
    first = next(slabs)
    assert len(seen) == len(starts_along(17, 6, 0.5)) * len(starts_along(13, 4, 0.5))
    rest = [*slabs]
    assert [slab.start for slab in (first, *rest)] == [0, 4, 8, 12, 13]
    assert [slab.logits.shape[1] for slab in (first, *rest)] == [4, 4, 4, 1, 8]


def test_memory_layout_of_the_network_changes_nothing() -> None:
    scan, air = made_scan((21, 17, 13)), half_air((21, 17, 13))
    last = sliding_logits(scan, air, WINDOW, channels_last, CHANNELS)
    torch.testing.assert_close(last, sliding_logits(scan, air, WINDOW, network, CHANNELS))


def test_a_single_window_is_a_view_of_the_scan_and_knows_no_gradient() -> None:
    scan = made_scan((21, 17, 13))
    held = scan.untyped_storage().data_ptr()

    def looks(windows: Tensor) -> Tensor:
        assert windows.untyped_storage().data_ptr() == held
        assert not torch.is_grad_enabled()
        return network(windows)

    sliding_logits(scan, None, WINDOW, looks, CHANNELS, batch=1)


def test_scan_smaller_than_a_window_is_seen_in_air() -> None:
    seen: list[Tensor] = []
    sliding_logits(torch.zeros(3, 6, 4), None, WINDOW, lambda w: (seen.append(w), network(w))[1], CHANNELS)
    rows = rearrange(seen[0], "1 1 x y z -> x (y z)")
    assert rows.mean(1).tolist() == [-1, -1, 0, 0, 0, -1, -1, -1]


def test_box_holds_all_tissue_and_no_more() -> None:
    air = half_air((21, 17, 13))
    box = tissue_box(air)
    assert box is not None
    assert (~air[box]).sum() == (~air).sum()
    assert all(not air[box].take(end, axis).all() for axis in range(3) for end in (0, -1))
    assert tissue_box(np.full((3, 4, 5), True)) is None


def test_large_windows_go_one_by_one_on_a_processor_and_small_ones_together() -> None:
    windows = [(96, 96, 48), (64, 64, 32), (32, 32, 16), (512, 512, 64)]
    assert [at_once(window, torch.device("cpu")) for window in windows] == [1, 2, 4, 1]
    assert [at_once(window, torch.device("cuda")) for window in windows] == [4, 16, 16, 1]


def test_air_is_told_by_hu_whatever_the_window_of_the_network() -> None:
    assert is_air(np.array([-1000, -500, -499, 40])).tolist() == [True, True, False, False]


@pytest.mark.parametrize("overlap", [1.0, -0.1])
def test_impossible_overlap_is_refused(overlap: float) -> None:
    with pytest.raises(SimcropError, match="overlap"):
        sliding_logits(made_scan((8, 6, 4)), None, WINDOW, network, CHANNELS, overlap=overlap)
