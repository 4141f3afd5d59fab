"""Which classes a mirror would exchange, as people and TotalSegmentator name them."""

from simcrop.data.class_sides import sided, twins

NAMES = [
    "left lung",
    "spleen",
    "Right adrenal gland",
    "leftover",
    "kidney (left)",
    "kidney_left",
    "rib_right_1",
    "cleft",
]


def test_classes_with_a_side_are_known_by_their_words() -> None:
    assert sided(NAMES) == ["left lung", "Right adrenal gland", "kidney (left)", "kidney_left", "rib_right_1"]


def test_a_left_part_stands_beside_its_right_twin_whatever_their_capitals() -> None:
    assert twins(
        ["RIGHT LUNG", "Left Lung", "rib_left_1", "rib_right_1", "rib_right_2", "kidney_left", "cleft"]
    ) == [
        ("Left Lung", "RIGHT LUNG"),
        ("rib_left_1", "rib_right_1"),
    ]
