"""Splits by patient: stable, seeded, and near their shares."""

from collections import Counter

import numpy as np
import pytest

from simcrop.data.split import SHARES, part_named, patients_on_several_sides, some_patients, split_by_patient
from simcrop.errors import SimcropError

PATIENTS = [f"p{n}" for n in range(900)]


def test_shares_are_met_and_everybody_has_one_part() -> None:
    split = split_by_patient(PATIENTS, 3, {"train": 0.5, "valid": 0.0, "test": 0.5})
    counts = Counter(split.parts.values())
    assert set(split.parts) == set(PATIENTS)
    assert counts["valid"] == 0
    assert 380 < counts["train"] < 520
    default = Counter(split_by_patient(PATIENTS).parts.values())
    for part, share in SHARES.items():
        assert default[part] / 900 == pytest.approx(share, abs=0.05)


def test_order_repetition_and_newcomers_move_nobody() -> None:
    few = split_by_patient([*PATIENTS[:40][::-1], *PATIENTS[:40]])
    many = split_by_patient(PATIENTS)
    assert all(many.parts[patient] == part for patient, part in few.parts.items())
    assert len(few.parts) == 40
    assert few.hash != many.hash
    assert few.hash == split_by_patient(PATIENTS[:40]).hash


def test_another_seed_is_another_split_with_another_hash() -> None:
    one, other = split_by_patient(PATIENTS, 1), split_by_patient(PATIENTS, 2)
    assert one.parts != other.parts
    assert one.hash != other.hash
    assert (one.seed, one.shares, len(one.hash)) == (1, dict(SHARES), 64)


@pytest.mark.parametrize("shares", [{}, {"train": 0.5}, {"train": 1.5, "test": -0.5}])
def test_shares_that_do_not_add_up_are_refused(shares: dict[str, float]) -> None:
    with pytest.raises(SimcropError, match="add up to 1"):
        split_by_patient(PATIENTS, 0, shares)


def test_patients_on_several_sides_are_those_with_two_different_parts() -> None:
    places = [("a", "train"), ("b", "test"), ("a", "test"), ("c", "train"), ("c", "train"), ("a", "valid")]
    assert patients_on_several_sides(places) == {"a"}
    assert patients_on_several_sides([]) == frozenset()


def test_share_is_drawn_by_patient_and_grows() -> None:
    patients = np.array([f"p{i // 3}" for i in range(60)])
    tenth, half = some_patients(patients, 0.1, 7), some_patients(patients, 0.5, 7)
    assert (tenth.sum(), half.sum()) == (6, 30)
    assert not (tenth & ~half).any()
    assert some_patients(patients, 1.0, 7).all()
    assert some_patients(patients, 0.001, 7).sum() == 3
    assert not np.array_equal(half, some_patients(patients, 0.5, 8))
    with pytest.raises(SimcropError, match=r"at most 1, got 1\.5"):
        some_patients(patients, 1.5, 7)


def test_parts_are_known_by_what_people_call_them() -> None:
    said = ("Training", " TRAIN", "val", "Validation", "dev", "TEST", "testing", "fold 3", "Trainees", "")
    meant = ["train", "train", "valid", "valid", "valid", "test", "test", "fold 3", "Trainees", ""]
    assert [part_named(cell) for cell in said] == meant
