"""Classes of a segmentation get the codes that DICOM's own dictionary has for them, or one that says it is ours."""

import pytest
from pydicom.sr._concepts_dict import concepts

from simcrop.data.writers.coded import PRIVATE, SNOMED, coded, structures
from simcrop.phantom.organs import ORGANS

LEFT, RIGHT, BOTH = "7771000", "24028007", "51440002"
KNOWN = {code: meaning for codes in concepts[SNOMED].values() for code, (meaning, _) in codes.items()}


def test_every_code_is_snomeds_for_what_its_meaning_says() -> None:
    for entry in structures().values():
        official = KNOWN[entry["code"]].lower()
        # SNOMED says `hepatic` and `Splenic structure` where DICOM says `Liver` and `Spleen`: the stem is the same.
        stems = [word[:4] for word in entry["meaning"].lower().split() if word not in {"of", "and", "gland"}]
        assert all(stem in official or {"vein": "venous"}.get(stem, "-") in official for stem in stems), entry


@pytest.mark.parametrize(
    ("name", "code", "side"),
    [
        ("left lung", "39607008", LEFT),
        ("lung_right", "39607008", RIGHT),
        ("Lungs", "39607008", None),
        ("left and right lungs", "39607008", BOTH),
        ("lung_upper_lobe_left", "45653009", LEFT),
        ("right lower lobe", "90572001", RIGHT),
        ("right middle lobe", "72481006", None),
        ("lung_middle_lobe_right", "72481006", None),
        ("trachea", "44567001", None),
        ("kidney_left", "64033007", LEFT),
        ("right adrenal gland", "23451007", RIGHT),
        ("lung nodule", "27925004", None),
    ],
)
def test_a_name_in_whatever_order_has_its_code_and_its_side(name: str, code: str, side: str | None) -> None:
    found = coded(name)
    assert (found.type.scheme, found.type.value) == (SNOMED, code)
    assert (found.side.value if found.side else None) == side


def test_all_organs_of_btcv_have_a_code_and_sides_are_told_apart() -> None:
    found = {name: coded(name) for name in ORGANS.values()}
    assert not any(code.is_private for code in found.values())
    assert len({(code.type, code.side) for code in found.values()}) == 13
    veins = found["portal and splenic veins"]
    assert [part.meaning for part in veins.parts] == ["Portal vein", "Splenic vein"]


def test_a_nodule_is_an_abnormality_in_the_lung() -> None:
    found = coded("lung nodule")
    assert (found.category.value, [region.meaning for region in found.regions]) == ("49755003", ["Lung"])


@pytest.mark.parametrize("name", ["class 7", "left spleen", "left middle lobe", "Hirnstamm", "肺", "x" * 90])
def test_what_has_no_code_gets_one_of_our_own(name: str) -> None:
    found = coded(name)
    assert found.type.scheme == PRIVATE
    assert 0 < len(found.type.value) <= 16
    assert found.type.meaning == name[:64]
    assert found != coded(name + "b")
