"""Position codes: every patch its own, along all three axes."""

import pytest
import torch

from simcrop.nn.position import sincos_1d, sincos_3d, sincos_hw

PAPER = (14, 14, 14)


def unique(code: torch.Tensor) -> int:
    return len(torch.unique((code * 1e5).round(), dim=0))


def test_all_2744_patches_of_the_paper_have_their_own_code() -> None:
    assert unique(sincos_3d(PAPER, 768)) == 2744


@pytest.mark.parametrize("width", [36, 40])
def test_every_axis_matters_and_is_written_in_its_own_third(width: int) -> None:
    code = sincos_3d((3, 5, 7), width).reshape(3, 5, 7, width)
    third = width // 6 * 2
    for axis, length in enumerate((3, 5, 7)):
        part = code[..., axis * third : (axis + 1) * third].movedim(axis, 0)
        torch.testing.assert_close(part, sincos_1d(length, third)[:, None, None].expand_as(part))
        assert unique(part[:, 0, 0]) == length
    assert not code[..., 3 * third :].any()


def test_one_axis_by_hand() -> None:
    code = sincos_1d(3, 4)
    angles = torch.tensor([[0, 0], [1, 0.01], [2, 0.02]])
    torch.testing.assert_close(code, torch.cat([angles.sin(), angles.cos()], 1))


def test_released_code_does_not_see_the_depth() -> None:
    code = sincos_hw(PAPER, 768)
    assert code.reshape(14, 14, 14, 768).var(2).max() == 0
    assert unique(code) == 196


def test_released_code_has_sines_of_x_and_cosines_of_y_in_turn() -> None:
    code = sincos_hw((3, 5, 2), 6).reshape(3, 5, 2, 6)
    assert torch.allclose(code[2, 0, 1, 0], torch.tensor(2.0).sin())
    assert torch.allclose(code[0, 4, 1, 1], torch.tensor(4.0).cos())
