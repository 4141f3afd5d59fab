"""Volume: spacing, axis codes and the turn to RAS+, by hand."""

import numpy as np
import pytest

from simcrop.data.volume import Volume, check_affine, spacing_of
from simcrop.errors import SimcropError


def volume(affine: np.ndarray) -> Volume:
    return Volume(np.arange(5 * 7 * 9, dtype=np.float32).reshape(5, 7, 9), affine)


def test_spacing_is_the_length_of_each_column() -> None:
    turned = np.array([[0, 2.0, 0, 0], [-3.0, 0, 0, 0], [0, 0, 0.5, 0], [0, 0, 0, 1]])
    assert spacing_of(turned) == (3.0, 2.0, 0.5)


def test_turning_a_flipped_axis_moves_the_origin_to_its_other_end() -> None:
    affine = np.diag([-2.0, 1.0, 1.0, 1.0])
    affine[:3, 3] = (10, 20, 30)
    ras = volume(affine).to_ras()
    assert ras.axis_codes == "RAS"
    assert ras.affine[:3, 3].tolist() == [10 - 2 * 4, 20, 30]
    np.testing.assert_array_equal(ras.hu, volume(affine).hu[::-1])


def test_every_voxel_keeps_its_place_in_the_patient_when_axes_are_permuted() -> None:
    affine = np.array([[0, 0, -2.0, 40], [0, 0.7, 0, -10], [1.5, 0, 0, 3], [0, 0, 0, 1]])
    stored = volume(affine)
    ras = stored.to_ras()
    assert stored.axis_codes == "SAL"
    assert ras.shape == (9, 7, 5)
    for index in [(0, 0, 0), (4, 6, 8), (2, 5, 1)]:
        place = affine @ (*index, 1)
        x, y, z = np.linalg.solve(ras.affine, place)[:3].round().astype(int)
        assert ras.hu[x, y, z] == stored.hu[index]


@pytest.mark.parametrize(
    "affine",
    [
        np.diag([1.0, 1.0, 0.0, 1.0]),
        np.diag([1.0, np.nan, 1.0, 1.0]),
        np.eye(3),
        np.array([[1.0, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]),
    ],
)
def test_an_affine_that_does_not_span_space_is_refused(affine: np.ndarray) -> None:
    with pytest.raises(SimcropError) as caught:
        check_affine(affine)
    assert caught.value.reason == "singular-affine"


def test_two_axes_are_no_volume() -> None:
    with pytest.raises(SimcropError) as caught:
        Volume(np.zeros((5, 7), np.float32), np.eye(4))
    assert caught.value.reason == "not-3d"
