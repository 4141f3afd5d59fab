"""Texts in groups of like length: each text as if it were alone, forward and backward, and fewer tokens computed."""

import pytest
import torch
from torch import Tensor, nn

from simcrop.nn.length_groups import length_groups, run_in_groups
from simcrop.nn.report_decoder import ReportDecoder, ReportDecoderSettings

WIDTH = 20


def mask_of(lengths: list[int]) -> Tensor:
    return torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]


def test_groups_by_hand() -> None:
    assert length_groups([9, 2, 3, 4, 9, 9], most=4) == [[1, 2, 3], [0], [4], [5]]
    assert length_groups([5]) == [[0]]
    assert length_groups([]) == []
    assert sorted(row for group in length_groups(list(range(50, 2, -1))) for row in group) == list(range(48))


@pytest.mark.parametrize("lengths", [[3, 17, 2, 9, 4, 16, 2], [2, 30], [6], [2, 2, 2]])
@pytest.mark.parametrize("known", [True, False])
def test_every_text_is_decoded_as_if_it_were_alone_and_so_is_its_gradient(
    lengths: list[int], known: bool
) -> None:
    torch.manual_seed(0)
    decoder = ReportDecoder(ReportDecoderSettings(depth=2, dim=WIDTH, heads=5, hidden=44))
    mask, fused = mask_of(lengths), torch.randn(len(lengths), max(lengths), WIDTH, requires_grad=True)
    weight = torch.randn(len(lengths), max(lengths), WIDTH)

    together = decoder(fused, mask, lengths if known else ())
    ((together * weight)[mask]).sum().backward()
    assert fused.grad is not None
    assert not fused.grad[~mask].any()
    found = gradients(decoder, fused)
    alone = [decoder.encoder(fused[i : i + 1, :n], mask[i : i + 1, :n])[0] for i, n in enumerate(lengths)]
    sum((row * weight[i, : len(row)]).sum() for i, row in enumerate(alone)).backward()  # type: ignore[union-attr]
    torch.testing.assert_close(together[mask], torch.cat(alone), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found, gradients(decoder, fused), atol=1e-4, rtol=1e-4)


def gradients(module: nn.Module, x: Tensor) -> list[Tensor]:
    """And none is left."""
    rows = [p.grad.clone() for p in (x, *module.parameters()) if p.grad is not None]
    module.zero_grad()
    x.grad = None
    return rows


@pytest.mark.parametrize(
    ("lengths", "shapes"),
    [
        ([9, 2, 3, 4, 9, 9], [(3, 4), (1, 9), (1, 9), (1, 9)]),
        ([9, 9, 8, 9], [(4, 9)]),  # alike: together
        ([7], [(1, 7)]),
    ],
)
def test_little_is_computed_on_padding(lengths: list[int], shapes: list[tuple[int, int]]) -> None:
    seen: list[tuple[int, ...]] = []

    def run(texts: Tensor, mask: Tensor) -> Tensor:
        seen.append(tuple(mask.shape))
        return texts[..., None].float()

    mask = mask_of(lengths)
    ids = torch.arange(mask.numel()).view(mask.shape)
    assert torch.equal(run_in_groups(run, ids, mask)[mask], ids[mask][:, None].float())
    assert seen == shapes
