"""The stem of convolutions: against a slow version of one patch, and that no patch sees another.

Axes: b scan, v patch, w window, p voxel. The grid has 2 x 4 x 3 patches of 3 x 5 x 7 voxels.
"""

import torch
from torch.nn.functional import gelu

from simcrop.nn.conv_stem import CHANNELS, ConvStem
from simcrop.nn.masking import random_mask
from simcrop.nn.patch import PatchGrid
from simcrop.nn.vit import VisionSettings, ViT

GRID = PatchGrid(volume=(6, 20, 21), patch=(3, 5, 7))


def stem(windows: int = 2) -> ConvStem:
    torch.manual_seed(0)
    return ConvStem(GRID.patch, windows, 36)


def seen(windows: int = 2, seed: int = 0) -> torch.Tensor:
    given = torch.Generator().manual_seed(seed)
    return torch.rand(2, GRID.count, windows, GRID.voxels, generator=given) * 2 - 1


def slow_convolution(box: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """Every second place along each axis, from the first; what lies outside is 0."""
    _, *size = box.shape
    places = [range(0, n, 2) for n in size]
    made = torch.zeros(len(weight), *(len(r) for r in places))
    for i, x in enumerate(places[0]):
        for j, y in enumerate(places[1]):
            for k, z in enumerate(places[2]):
                total = bias.clone()
                for a in range(3):
                    for b in range(3):
                        for c in range(3):
                            at = (x + a - 1, y + b - 1, z + c - 1)
                            if all(0 <= p < n for p, n in zip(at, size, strict=True)):
                                total += weight[:, :, a, b, c] @ box[(slice(None), *at)]
                made[:, i, j, k] = total
    return made


def test_a_token_is_that_of_a_slow_version_of_its_patch() -> None:
    net, given = stem(), seen()
    with torch.no_grad():
        box = given[1, 5].reshape(2, *GRID.patch)
        for convolution in net.convolutions:
            box = gelu(slow_convolution(box, convolution.weight, convolution.bias))  # type: ignore[arg-type]
        assert box.shape == (CHANNELS[-1], 1, 2, 2)
        pooled = torch.cat([box.flatten(1).amax(1), box.flatten(1).mean(1)])
        torch.testing.assert_close(net(given)[1, 5], net.out(pooled), atol=1e-5, rtol=1e-4)


def test_no_patch_sees_another() -> None:
    net, given = stem(), seen()
    changed = given.clone()
    changed[:, 7] = seen(seed=3)[:, 7]
    same = torch.arange(GRID.count) != 7
    with torch.no_grad():
        torch.testing.assert_close(net(changed)[:, same], net(given)[:, same])
        assert (net(changed)[:, 7] - net(given)[:, 7]).abs().max() > 1e-3


def test_it_sees_the_windows_and_the_linear_map_beside_it_starts_at_zero() -> None:
    windows = ((-1.0, 0.0), (-0.2, 0.4))
    settings = VisionSettings(depth=1, dim=36, heads=3, stem=("conv", "linear"), windows=windows)
    vision = ViT(settings, GRID).eval()
    assert vision.conv is not None
    assert vision.conv.convolutions[0].in_channels == len(windows)  # type: ignore[union-attr]
    assert vision.statistics is None
    patches = seen(1)[:, :, 0]
    windowed = torch.stack([((patches - a) / (b - a)).clamp(0, 1) * 2 - 1 for a, b in windows], dim=2)
    torch.testing.assert_close(vision.embed(patches), vision.conv(windowed))
    mask = random_mask(torch.rand(2, GRID.count, generator=torch.Generator().manual_seed(2)), 0.6)
    visible = vision.embed(mask.take_visible(patches), mask.keep)
    torch.testing.assert_close(visible, mask.take_visible(vision.embed(patches)))
