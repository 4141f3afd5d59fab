"""Sizes, units, sides and places that MetaImage and NRRD headers state twice, in part or not at all, beside SimpleITK.

Axes: x, y, z of the toy, 5 x 7 x 9 voxels; lengths in mm.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from simcrop.data.guess import is_guess
from simcrop.data.readers import read_volume
from simcrop.data.volume import Volume
from simcrop.errors import SimcropError

LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
SPACE = "space: left-posterior-superior"
AIMED = "space directions: (0.7,0,0) (0,0.9,0) (0,0,1.3)"
ORIGIN = "space origin: (1,2,3)"
TURNED = "-1 0 0 0 -1 0 0 0 1"
WHOLE = ("ElementSpacing = 0.7 0.9 1.3", f"TransformMatrix = {TURNED}", "Offset = 1 2 3")
Writer = Callable[..., Path]


@pytest.fixture
def mha(tmp_path: Path, toy: Volume) -> Writer:
    def write(*lines: str) -> Path:
        head = (
            "ObjectType = Image",
            "NDims = 3",
            "BinaryData = True",
            "BinaryDataByteOrderMSB = False",
            *lines,
        )
        text = "\n".join((*head, "DimSize = 5 7 9", "ElementType = MET_SHORT", "ElementDataFile = LOCAL\n"))
        (tmp_path / "ct.mha").write_bytes(text.encode() + toy.hu.astype("<i2").tobytes(order="F"))
        return tmp_path / "ct.mha"

    return write


@pytest.fixture
def nrrd(tmp_path: Path, toy: Volume) -> Writer:
    def write(*lines: str) -> Path:
        head = (
            "NRRD0004",
            "type: short",
            "dimension: 3",
            "sizes: 5 7 9",
            "endian: little",
            "encoding: raw",
            *lines,
        )
        text = "\n".join((*head, "\n"))
        (tmp_path / "ct.nrrd").write_bytes(text.encode() + toy.hu.astype("<i2").tobytes(order="F"))
        return tmp_path / "ct.nrrd"

    return write


def by_simpleitk(path: Path) -> np.ndarray:
    image = sitk.ReadImage(str(path))
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    return LPS @ affine


@pytest.mark.parametrize(
    "lines",
    [
        (*WHOLE, "ElementSize = 0.7 0.9 1.3"),
        (*WHOLE, "Position = 1 2 3", "Origin = 1.0 2.0 3.0"),
        (*WHOLE, "Rotation = -1.0 0 0 0 -1 0 0 0 1", f"Orientation = {TURNED}"),
        (*WHOLE, "ElementSpacing = 0.70 0.90 1.30", "Offset = 1 2 3"),
        (*WHOLE, "ElementByteOrderMSB = 0", "DistanceUnits = mm"),
    ],
)
def test_a_metaimage_that_says_the_same_twice_is_sound(mha: Writer, lines: tuple[str, ...]) -> None:
    path = mha(*lines)
    volume = read_volume(path)
    np.testing.assert_allclose(volume.affine, by_simpleitk(path), atol=1e-9)
    assert volume.notes == ()


@pytest.mark.parametrize(
    ("lines", "note"),
    [
        (
            (*WHOLE, "Position = 4 5 6", "Origin = 7 8 9"),
            "Origin and Offset and Position differ, Origin is taken",
        ),
        ((*WHOLE, "Position = 4 5 6"), "Offset and Position differ, Offset is taken"),
        ((*WHOLE, "Orientation = 1 0 0 0 1 0 0 0 1"), "TransformMatrix and Orientation differ"),
        ((*WHOLE, "ElementSize = 1 1 5"), "ElementSpacing and ElementSize differ, ElementSpacing is taken"),
        ((WHOLE[1], WHOLE[2], "ElementSize = 0.7 0.9 1.3"), "ElementSize is taken as the spacing"),
        (WHOLE[1:], "guessed voxels of 1 x 1 x 1 mm, as the header has no ElementSpacing"),
        ((WHOLE[0], WHOLE[2]), "guessed axes L, P, S, as the header has no TransformMatrix"),
        (WHOLE[:2], "guessed position 0, as the header has no Offset"),
    ],
)
def test_what_a_metaimage_leaves_open_is_read_as_itk_reads_it_with_a_note(
    mha: Writer, lines: tuple[str, ...], note: str
) -> None:
    path = mha(*lines)
    volume = read_volume(path)
    np.testing.assert_allclose(volume.affine, by_simpleitk(path), atol=1e-9)
    (found,) = volume.notes
    assert note in found
    assert is_guess(found) == ("guessed" in note or "taken as" in note)


def test_a_metaimage_without_any_place_is_three_guesses(mha: Writer) -> None:
    assert [is_guess(note) for note in read_volume(mha()).notes] == [True, True, True]


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ((*WHOLE, "ElementSpacing = 0.7 0.9 1.4"), "unreadable"),
        ((*WHOLE, "ElementByteOrderMSB = True"), "unreadable"),
        ((WHOLE[0], "TransformMatrix = 0.7 0 0 0 0.9 0 0 0 1.3"), "contradicting-geometry"),
        ((WHOLE[0], "TransformMatrix = 2 0 0 0 2 0 0 0 2"), "contradicting-geometry"),
        (("ElementSpacing = 0.7 0.9 5", "TransformMatrix = 1 0 0 0 1 0 0 0.26 0.966"), "tilted-slices"),
    ],
)
def test_a_metaimage_that_contradicts_itself_or_shears_is_refused(
    mha: Writer, lines: tuple[str, ...], reason: str
) -> None:
    with pytest.raises(SimcropError) as caught:
        read_volume(mha(*lines))
    assert caught.value.reason == reason


UNITS = [("mm", 1), ("cm", 10), ("um", 0.001), ("µm", 0.001), ("Meters", 1000)]


@pytest.mark.parametrize(("unit", "mm"), UNITS)
def test_units_are_applied(mha: Writer, nrrd: Writer, unit: str, mm: float) -> None:
    size = " ".join(f"{n / mm:.9g}" for n in (0.7, 0.9, 1.3))
    place = [f"{n / mm:.9g}" for n in (1, 2, 3)]
    vectors = " ".join(
        f"({','.join(n if i == j else '0' for j in range(3))})" for i, n in enumerate(size.split())
    )
    in_space = (SPACE, f"space directions: {vectors}", f"space origin: ({','.join(place)})")
    each = f'"{unit}" "{unit}" "{unit}"'
    written = (
        lambda: mha(
            f"ElementSpacing = {size}", WHOLE[1], f"Offset = {' '.join(place)}", f"DistanceUnits = {unit}"
        ),
        lambda: nrrd(*in_space, f"space units: {each}"),
        lambda: nrrd(f"spacings: {size}", f"units: {each}"),
    )
    for write, placed in zip(written, (True, True, False), strict=True):
        volume = read_volume(write())
        np.testing.assert_allclose(volume.spacing_mm, (0.7, 0.9, 1.3), rtol=1e-7)
        if placed:
            np.testing.assert_allclose(volume.affine[:3, 3], (-1, -2, 3), rtol=1e-7)
        assert any("multiplied" in note for note in volume.notes) == (mm != 1)


def test_units_of_one_axis_and_unknown_ones_are_noted(nrrd: Writer) -> None:
    volume = read_volume(
        nrrd(SPACE, "space directions: (0.7,0,0) (0,0.9,0) (0,0,0.13)", ORIGIN, 'space units: "mm" "mm" "cm"')
    )
    np.testing.assert_allclose(volume.spacing_mm, (0.7, 0.9, 1.3))
    np.testing.assert_allclose(volume.affine[:3, 3], (-1, -2, 30))
    assert volume.notes == ("lengths in the header multiplied by 1 and 1 and 10 to be mm",)
    (note,) = read_volume(nrrd(SPACE, AIMED, ORIGIN, 'space units: "pixel" "pixel" "pixel"')).notes
    assert note.startswith("guessed lengths in mm")


NOWHERE, SIZE, PLACE = "no space of the body", "guessed voxels of", "guessed position 0"
NRRDS = {
    "whole": ((SPACE, AIMED, ORIGIN), (0.7, 0.9, 1.3), (-1, -2, 3), ()),
    "nothing": ((), (1, 1, 1), (0, 0, 0), (SIZE, PLACE, NOWHERE)),
    "a space alone": ((SPACE,), (1, 1, 1), (0, 0, 0), (SIZE, PLACE, "guessed axes L, P, S")),
    "no origin": ((SPACE, AIMED), (0.7, 0.9, 1.3), (0, 0, 0), (PLACE,)),
    "no body": (("space: scanner-xyz", AIMED, ORIGIN), (0.7, 0.9, 1.3), (-1, -2, 3), (NOWHERE,)),
    "sizes": (("spacings: 0.7 0.9 1.3",), (0.7, 0.9, 1.3), (0, 0, 0), (PLACE, NOWHERE)),
    "one size": (("spacings: nan NaN 1.3",), (1, 1, 1.3), (0, 0, 0), (SIZE, PLACE, NOWHERE)),
}


@pytest.mark.parametrize("name", NRRDS)
def test_what_an_nrrd_leaves_open_is_read_as_itk_reads_it_with_notes(nrrd: Writer, name: str) -> None:
    lines, spacing, place, notes = NRRDS[name]
    path = nrrd(*lines)
    volume = read_volume(path)
    np.testing.assert_allclose(volume.affine, by_simpleitk(path), atol=1e-9)
    np.testing.assert_allclose(volume.spacing_mm, spacing)
    np.testing.assert_allclose(volume.affine[:3, 3], place)
    assert len(volume.notes) == len(notes)
    for note, words in zip(volume.notes, notes, strict=True):
        assert words in note
        assert is_guess(note)


@pytest.mark.parametrize(
    ("lines", "origin", "notes"),
    [
        (("axis mins: 0 0 0", "axis maxs: 3.5 6.3 11.7"), (0.35, 0.45, 0.65), (SIZE, NOWHERE)),
        (
            ("axis mins: 1 2 3", "axis maxs: 4.5 8.3 14.7", "centers: cell cell cell"),
            (1.35, 2.45, 3.65),
            (NOWHERE,),
        ),
        (("axismins: 1 2 3", "axismaxs: 3.8 7.4 13.4", "centers: node node node"), (1, 2, 3), (NOWHERE,)),
        (("spacings: 0.7 0.9 1.3", "axis mins: 1 2 3"), (1.35, 2.45, 3.65), (NOWHERE,)),
        (
            ("axis mins: 1 2 3", "spacings: 0.7 0.9 1.3", "axis maxs: 9 9 9"),
            (1.35, 2.45, 3.65),
            ("contradict", NOWHERE),
        ),
    ],
)
def test_axis_mins_and_maxs_state_size_and_place(
    nrrd: Writer, lines: tuple[str, ...], origin: tuple[float, ...], notes: tuple[str, ...]
) -> None:
    """SimpleITK takes the place from them, with its own step of 1 mm where there are no spacings."""
    path = nrrd(*lines)
    volume = read_volume(path)
    np.testing.assert_allclose(volume.spacing_mm, (0.7, 0.9, 1.3))
    np.testing.assert_allclose(LPS[:3, :3] @ volume.affine[:3, 3], origin)
    if any(line.startswith("spacings") for line in lines):
        np.testing.assert_allclose(volume.affine, by_simpleitk(path), atol=1e-9)
    assert len(volume.notes) == len(notes)
    assert all(words in note for note, words in zip(volume.notes, notes, strict=True))


def test_directions_win_over_spacings_with_a_note(nrrd: Writer) -> None:
    volume = read_volume(nrrd(SPACE, AIMED, ORIGIN, "spacings: 1 1 5"))
    np.testing.assert_allclose(volume.spacing_mm, (0.7, 0.9, 1.3))
    assert volume.notes == ("space directions and spacings differ in size, space directions are taken",)
    assert read_volume(nrrd(SPACE, AIMED, ORIGIN, "spacings: 0.7 0.9 1.3")).notes == ()


def test_a_sheared_nrrd_is_refused_as_tilted(nrrd: Writer) -> None:
    with pytest.raises(SimcropError, match="tilted gantry") as caught:
        read_volume(nrrd(SPACE, "space directions: (0.7,0,0) (0,0.9,0) (0,1.2,4.9)", ORIGIN))
    assert caught.value.reason == "tilted-slices"


def test_names_of_fields_count_whatever_their_capitals(mha: Writer) -> None:
    volume = read_volume(mha("elementspacing = 0.7 0.9 1.3", f"TRANSFORMMATRIX = {TURNED}", "offset = 1 2 3"))
    wanted = read_volume(mha(*WHOLE))
    np.testing.assert_array_equal(volume.affine, wanted.affine)
    assert volume.notes == ()


@pytest.mark.parametrize(("offset", "source"), [(-1024, "header"), (-3000, "stored")])
def test_a_metaimage_rescale_counts_where_it_makes_a_ct(
    toy: Volume, mha: Writer, offset: int, source: str
) -> None:
    path = mha(*WHOLE, "ElementToIntensityFunctionSlope = 1", f"ElementToIntensityFunctionOffset = {offset}")
    stored = toy.hu + 1024 if source == "header" else toy.hu
    path.write_bytes(path.read_bytes()[: -toy.hu.size * 2] + stored.astype("<i2").tobytes(order="F"))
    volume = read_volume(path)
    assert volume.decision is not None
    assert volume.decision.source == source
    np.testing.assert_array_equal(volume.hu, toy.hu)


def test_more_bytes_than_the_header_knows_of_are_a_note(mha: Writer) -> None:
    path = mha(*WHOLE)
    path.write_bytes(path.read_bytes() + bytes(100))
    (note,) = read_volume(path).notes
    assert "100 bytes more" in note
    assert is_guess(note)


def test_a_data_file_may_be_named_as_windows_does(tmp_path: Path, toy: Volume, mha: Writer) -> None:
    path = mha(*WHOLE)
    head = path.read_bytes()[: -toy.hu.size * 2].replace(b"LOCAL", b".\\voxels\\ct.raw")
    (tmp_path / "voxels").mkdir()
    (tmp_path / "voxels/ct.raw").write_bytes(toy.hu.astype("<i2").tobytes(order="F"))
    (tmp_path / "ct.mhd").write_bytes(head)
    np.testing.assert_array_equal(read_volume(tmp_path / "ct.mhd").hu, toy.hu)
    (tmp_path / "out.mhd").write_bytes(head.replace(b".\\voxels", b"..\\voxels"))
    with pytest.raises(SimcropError, match="outside its own folder"):
        read_volume(tmp_path / "out.mhd")


def test_an_origin_counts_also_beside_spacings(nrrd: Writer) -> None:
    volume = read_volume(nrrd(SPACE, "spacings: 0.7 0.9 1.3", ORIGIN))
    assert volume.affine[:3, 3].tolist() == [-1, -2, 3]
    assert not any("position" in note for note in volume.notes)
    other = read_volume(nrrd(SPACE, 'units: "cm" "cm" "cm"', "spacings: 0.07 0.09 0.13", ORIGIN))
    assert any("guessed position" in note for note in other.notes)
