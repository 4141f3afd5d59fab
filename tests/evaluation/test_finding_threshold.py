"""The threshold is the best of all, by Dice counted voxel by voxel on the scan's own grid.

Axes: gx, gy, gz patch, 4 x 3 x 2 of them; t threshold.
"""

import numpy as np
import pytest

from simcrop.errors import SimcropError
from simcrop.evaluation.grounding.finding_threshold import (
    LEVELS,
    Counted,
    Scale,
    Threshold,
    above,
    choose_threshold,
    dice_at,
    scaled,
)

GRID = (4, 3, 2)


def counted(seed: int, complete: bool = True) -> Counted:
    """Patches of 0 to 9 voxels, some of the finding; a row of patches lies beside the scan."""
    rng = np.random.default_rng(seed)
    similarity, voxels = rng.normal(0.2, 0.2, GRID), rng.integers(1, 10, GRID)
    similarity[3], voxels[3] = -np.inf, 0
    marked = np.where(rng.random(GRID) < 0.3, rng.integers(0, 10, GRID), 0).clip(0, voxels)
    marked[0, 0, 0] = voxels[0, 0, 0]
    return Counted(similarity, voxels, marked, int(rng.integers(0, 4)), complete)


def slow_dice(finding: Counted, mask: np.ndarray) -> float:
    both, said = int(finding.marked[mask].sum()), int(finding.voxels[mask].sum())
    return 2 * both / (said + int(finding.marked.sum()) + finding.marked_beyond)


def pieces(mask: np.ndarray) -> list[np.ndarray]:
    """Of patches that touch by a face or an edge."""
    left, found = set(map(tuple, np.argwhere(mask).tolist())), []
    while left:
        piece, edge = np.zeros(mask.shape, bool), [left.pop()]
        while edge:
            at = edge.pop()
            piece[at] = True
            steps = {
                o
                for o in left
                if max(d := [abs(a - b) for a, b in zip(at, o, strict=True)]) < 2 and sum(d) < 3
            }
            left -= steps
            edge += steps
        found.append(piece)
    return found


@pytest.mark.parametrize("scale", ["cosine", "deviation"])
@pytest.mark.parametrize("seed", range(3))
def test_dice_of_every_threshold_is_that_of_its_mask(seed: int, scale: Scale) -> None:
    finding = counted(seed)
    values = scaled(finding.similarity, scale)
    wanted = [slow_dice(finding, above(values, level)) for level in LEVELS[scale]]
    np.testing.assert_allclose(dice_at(finding, scale), wanted)


@pytest.mark.parametrize("scale", ["cosine", "deviation"])
@pytest.mark.parametrize("seed", range(3))
def test_of_partial_marks_pieces_that_touch_nothing_marked_count_neither_way(seed: int, scale: Scale) -> None:
    finding = counted(seed, complete=False)
    values, wanted = scaled(finding.similarity, scale), []
    for level in LEVELS[scale]:
        right = [piece for piece in pieces(above(values, level)) if finding.marked[piece].any()]
        wanted.append(slow_dice(finding, np.logical_or.reduce([np.zeros(GRID, bool), *right])))
    np.testing.assert_allclose(dice_at(finding, scale), wanted)
    other = counted(seed)
    assert (dice_at(finding, scale) >= dice_at(other, scale) - 1e-12).all()


def test_the_best_mean_over_findings_is_chosen_and_its_masks_have_it() -> None:
    findings = [counted(seed) for seed in range(5)]
    found = choose_threshold(findings, "valid")
    best = max(np.mean([dice_at(f, scale) for f in findings], 0).max() for scale in LEVELS)
    assert found.dice == pytest.approx(best)
    assert (found.findings, found.split) == (5, "valid")
    chosen = found.chosen(np.stack([f.similarity for f in findings]))
    assert np.mean([slow_dice(f, mask) for f, mask in zip(findings, chosen, strict=True)]) == pytest.approx(
        best
    )


def test_a_mask_is_never_empty_and_never_beside_the_scan() -> None:
    similarity = counted(0).similarity[None]
    for scale, value in (("cosine", 5.0), ("deviation", 50.0), ("cosine", -9.0)):
        mask = Threshold(scale, value, 0.0, 1, 1, "valid").chosen(similarity)  # pyright: ignore[reportArgumentType]
        assert mask.any()
        assert not mask[:, 3].any()
    nearest = Threshold("cosine", 5.0, 0.0, 1, 1, "valid").chosen(similarity)
    assert nearest.sum() == 1
    assert similarity[nearest] == similarity.max()


def test_without_a_marked_finding_no_threshold_is_chosen() -> None:
    with pytest.raises(SimcropError, match="no marked finding"):
        choose_threshold([], "valid")
