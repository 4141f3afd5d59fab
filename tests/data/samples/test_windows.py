"""Windows of scans with masks: where they lie, whose numbers they bear, how they are varied, and what is refused.

Axes: x y z voxels of the stored grid, no two sizes alike.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from simcrop.data.preprocess import InputSpec
from simcrop.data.samples.collate import Collate
from simcrop.data.samples.dataset import Sample
from simcrop.data.samples.varied import Change, Variation
from simcrop.data.samples.windows import (
    StudyWindows,
    WindowNeeds,
    as_channels,
    marked_voxels,
    numbers_of,
    window_start,
)
from simcrop.data.store.cohort import Cohort, open_cohort
from simcrop.engine.order import SampleDraw
from simcrop.errors import SimcropError

CLASSES = {7: "liver", 2: "left lung", 30: "trachea"}
SPACING = (2.0, 3.0, 4.0)
SPEC = InputSpec(SPACING, (8, 6, 4))
PLAIN = WindowNeeds(per_scan=5, marked=0.5, by_class=False, variation=Variation())


@pytest.fixture(scope="module")
def cohort(
    tmp_path_factory: pytest.TempPathFactory, scan: Callable, save: Callable, mark: Callable
) -> Cohort:
    """Two scans of 20 x 18 x 14 voxels; in the first a liver of 4 x 4 x 3 voxels at (3, 4, 5) and a trachea of one."""
    from simcrop.data.ingest import ingest

    folder = tmp_path_factory.mktemp("windows")
    (folder / "raw").mkdir()
    affine = np.diag([*SPACING, 1.0])
    for number in (1, 2):
        save(folder / f"raw/ct{number}.nii.gz", scan(number, (20, 18, 14)), affine)
    ingest(folder / "raw", "folder", folder / "cohort", SPACING)
    labels = np.zeros((20, 18, 14), np.int16)
    labels[3:7, 4:8, 5:8] = 7
    labels[15, 12, 9] = 30
    mark(folder / "cohort", {"ct1": labels, "ct2": np.where(labels == 7, 2, 0)}, CLASSES)
    return open_cohort(folder / "cohort")


def windows(cohort: Cohort, numbers: tuple[int, ...] = (7, 2, 30), **changes: object) -> StudyWindows:
    return StudyWindows(cohort, SPEC, replace(PLAIN, **changes), numbers)


def drawn(data: StudyWindows, index: int, seed: int) -> Sample:
    sample = data[SampleDraw(index, seed)]
    assert isinstance(sample, Sample)
    return sample


def test_a_scan_has_so_many_windows_and_each_is_cut_alike_from_scan_and_mask(cohort: Cohort) -> None:
    data = windows(cohort)
    assert len(data) == 10
    assert {drawn(data, i, 0).id for i in range(5)} == {cohort[0].id}
    whole, mask = cohort[0].read(), as_channels(cohort[0].mask(), (7, 2, 30))
    for seed in range(6):
        sample = drawn(data, 1, seed)
        assert sample.volume.shape == sample.mask.shape == (1, 8, 6, 4)
        hu = sample.volume[0].numpy()
        found = [
            s
            for s in np.ndindex(13, 13, 11)
            if (whole[s[0] : s[0] + 8, s[1] : s[1] + 6, s[2] : s[2] + 4] == hu).all()
        ]
        assert len(found) == 1
        x, y, z = found[0]
        assert (mask[x : x + 8, y : y + 6, z : z + 4] == sample.mask[0].numpy()).all()
        assert sample.window_hu == SPEC.window_hu


def test_the_same_draw_is_the_same_window_and_another_seed_another_one(cohort: Cohort) -> None:
    data = windows(cohort, variation=Variation((0.0, 0.5, 0.5), 0.5, (0.7, 1.4), 0.5, 0.1, 0.5, 0.1))
    once, again = drawn(data, 3, 11), drawn(data, 3, 11)
    assert (once.volume == again.volume).all()
    assert (once.mask == again.mask).all()
    assert any((drawn(data, 3, seed).volume != once.volume).any() for seed in range(3))


def test_half_of_them_lie_around_a_marked_voxel_each_as_often_as_another(cohort: Cohort) -> None:
    """Of 49 marked voxels one is the trachea's; with classes alike it stands in the middle half of the time."""
    assert all(
        (drawn(windows(cohort, marked=1.0), 0, seed).mask[0, 4, 3, 2] > 0).item() for seed in range(20)
    )
    balanced = [
        int(drawn(windows(cohort, marked=1.0, by_class=True), 0, seed).mask[0, 4, 3, 2]) for seed in range(60)
    ]
    assert set(balanced) == {1, 3}
    assert 18 < balanced.count(3) < 42
    alike = [int(drawn(windows(cohort, marked=1.0), 0, seed).mask[0, 4, 3, 2]) for seed in range(60)]
    assert alike.count(3) < 8
    half = [int(drawn(windows(cohort), 0, seed).mask[0, 4, 3, 2]) > 0 for seed in range(80)]
    assert 30 < sum(half) < 60


def test_numbers_become_channels_by_the_names_of_their_classes(cohort: Cohort) -> None:
    numbers = numbers_of(["trachea", "liver"], CLASSES)
    assert numbers == (30, 7)
    assert as_channels(np.array([[[0, 7, 2, 30]]], np.int16), numbers).tolist() == [[[0, 2, 0, 1]]]
    assert as_channels(np.zeros((1, 1, 1), np.int16), numbers).tolist() == [[[0]]]
    # What is marked and not learned draws no window: in the second scan nothing else is.
    counts, _ = marked_voxels(cohort[1].home, cohort[1].id, cohort[1].mask_checksum, numbers)
    assert counts.tolist() == [0, 0]
    assert drawn(StudyWindows(cohort, SPEC, replace(PLAIN, marked=1.0), numbers), 5, 0).mask.sum() == 0


@pytest.mark.parametrize(
    ("have", "around", "start"),
    [
        ((20, 18, 14), (10, 9, 7), (6, 6, 5)),  # in the middle of the window
        ((20, 18, 14), (0, 17, 13), (0, 12, 10)),  # as far as the scan goes
        ((8, 5, 1), (3, 2, 0), (0, 0, -1)),  # smaller: in the middle, with air around it
    ],
)
def test_a_window_stays_in_its_scan(have: tuple, around: tuple, start: tuple) -> None:
    assert window_start(have, (8, 6, 4), around, np.random.default_rng(0)) == start


def test_windows_that_lie_anywhere_reach_every_corner() -> None:
    random = np.random.default_rng(0)
    starts = {window_start((10, 6, 5), (8, 6, 4), None, random) for _ in range(200)}
    assert starts == {(x, 0, z) for x in range(3) for z in range(2)}


def test_outside_a_scan_is_air_and_no_class(cohort: Cohort) -> None:
    """The public code pads a resampled crop with 0, which is water (flaw 19)."""
    spec = InputSpec(SPACING, (24, 6, 4))
    sample = drawn(StudyWindows(cohort, spec, PLAIN, (7,)), 0, 0)
    assert (sample.volume[0, [0, 1, -1, -2]] == -1000).all()
    assert (sample.mask[0, [0, 1, -1, -2]] == 0).all()


def test_scan_and_mask_are_mirrored_and_zoomed_together() -> None:
    mask = np.zeros((8, 6, 4), np.int16)
    mask[2, 1, 3] = 5
    hu = (mask * 100 - 800).astype(np.int16)
    change = Change(mirrored=(1, 2))
    assert change.of_mask(mask, (8, 6, 4))[2, 4, 0] == 5
    assert change.of_scan(hu, (8, 6, 4), (-1000.0, 1000.0))[2, 4, 0] == -300
    larger = Change(zoom=2.0)
    assert larger.seen((8, 6, 4)) == (4, 3, 2)
    small = np.arange(24, dtype=np.int16).reshape(4, 3, 2)
    assert larger.of_mask(small, (8, 6, 4))[::2, ::2, ::2].tolist() == small.tolist()
    ramp = larger.of_scan(
        np.repeat(np.arange(4, dtype=np.int16) * 100, 6).reshape(4, 3, 2), (8, 6, 4), (-1000.0, 1000.0)
    )
    assert ramp[:, 0, 0].tolist() == [0, 25, 75, 125, 175, 225, 275, 300]


def test_contrast_and_shift_act_on_what_the_network_sees() -> None:
    """In a window of -100 to 300 HU half its width is 200 and its middle 100; what lies beyond is clipped first."""
    hu = np.array([[[-1000, 100, 200, 3000]]], np.int16)
    changed = Change(contrast=1.1, shift=0.05).of_scan(hu, (1, 1, 4), (-100.0, 300.0))
    assert changed.tolist() == [[[-110, 110, 220, 330]]]
    assert changed.dtype == np.int16
    assert Change().of_scan(hu, (1, 1, 4), (-100.0, 300.0)).tolist() == hu.tolist()


def test_what_is_set_of_one_thing_changes_no_draw_of_another() -> None:
    flips = Variation((0.0, 0.5, 0.5))
    both = replace(flips, shift=0.5, shift_by=0.1, zoom=1.0, zooms=(1.2, 1.4))
    for seed in range(20):
        one, other = flips.drawn(np.random.default_rng(seed)), both.drawn(np.random.default_rng(seed))
        assert one.mirrored == other.mirrored
        assert 0 not in one.mirrored
        assert one.zoom == 1
        assert 1.2 <= other.zoom <= 1.4
        assert abs(other.shift) <= 0.1


def test_a_cohort_of_another_spacing_is_refused_with_how_to_ingest_it(cohort: Cohort) -> None:
    data = StudyWindows(cohort, InputSpec((1.5, 1.5, 3.0), (8, 6, 4)), PLAIN, (7,))
    error = data[SampleDraw(0, 0)]
    assert isinstance(error, SimcropError)
    assert (
        "not stored at input.spacing_mm = [1.5, 1.5, 3.0]: ingest it with --spacing 1.5,1.5,3"
        in error.sentence
    )


def test_a_scan_that_is_gone_is_replaced_by_another_and_named(
    cohort: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simcrop.data.samples.reading.PAUSES_S", ())
    gone = replace(cohort[0], path=tmp_path / "volumes" / "gone.b2nd")
    sample = drawn(StudyWindows([gone, cohort[1]], SPEC, replace(PLAIN, per_scan=1, marked=0.0), (7,)), 0, 0)
    assert sample.id == cohort[1].id
    assert [one.id for one in sample.unread] == [cohort[0].id]


def test_a_batch_carries_channels_to_the_device(cohort: Cohort) -> None:
    data = windows(cohort, marked=1.0)
    batch = Collate(masks=True)([drawn(data, 0, seed) for seed in range(3)]).to(torch.device("cpu"))  # type: ignore[union-attr]
    assert batch.mask.shape == (3, 1, 8, 6, 4)
    assert batch.mask.max() in (1, 3)
    assert batch.volume.abs().max() <= 1
