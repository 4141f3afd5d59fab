"""Files that no reader takes: known by their names, with words that no person's name can stand in."""

import pytest

from simcrop.data.readers.foreign import Sort, kind_of, sort_of

FOREIGN = {
    "ct.hdr": ".hdr/.img",
    "ct.nii.bz2": ".nii.bz2",
    "CT.NII.XZ": ".nii.xz",
    "ct.nii.zst": ".nii.zst",
    "ct.mha.gz": ".mha.gz",
    "ct.img.gz": ".hdr.gz/.img.gz",
    "v.npy": ".npy",
    "v.npy.gz": ".npy.gz",
    "v.mgz": ".mgz",
    "v.mnc": ".mnc",
    "m.pt": ".pt",
    "ct.h5": ".h5",
    "1.dcm.gz": ".dcm.gz",
    "IM0001.gz": ".gz",
    "all.tar.gz": ".tar.gz",
    "all.tgz": ".tgz",
    "all.7z": ".7z",
    "Smith.John.nii.lz4": ".nii.lz4",
    "stack.tif": ".tif",
}
UNSURE = {  # looked into first, as slices have borne such names
    "ct.img": ".hdr/.img",
    "ct.nii.gz.part": "unfinished",
    "ct.nii.gz.bak": "renamed",
    "ct.nii.gz.1": "renamed",
    "a.dcm.old": "renamed",
    "v.bin": ".bin",
    "Smith^John.Doe": None,
    "IM0001": None,
    "1.2.840.113": None,
    "slice.dcm": "renamed",
}
DOCUMENTS = (
    "a.csv",
    "a.csv.gz",
    "ct.nii.gz.md5",
    "ct.nii.json",
    "a.tar.gz.sha256",
    "ct.nii.gz:Zone.Identifier",
    "R.TXT",
)


@pytest.mark.parametrize(("name", "kind"), FOREIGN.items())
def test_foreign_files_are_known_by_their_names_and_say_what_helps(name: str, kind: str) -> None:
    found = kind_of(name)
    assert sort_of(name) is Sort.FOREIGN
    assert found is not None
    assert found.name == kind
    assert len(found.advice) > 20


@pytest.mark.parametrize(("name", "kind"), UNSURE.items())
def test_what_may_be_a_slice_is_open_until_somebody_looks(name: str, kind: str | None) -> None:
    found = kind_of(name)
    assert sort_of(name) is Sort.OPEN
    assert (found.name if found else None) == kind


def test_scans_their_parts_and_documents_are_told_apart() -> None:
    assert {sort_of(name) for name in ("a.nii", "A.NII.GZ", "a.mhd", "a.nhdr", "a.zip", "a.npz")} == {
        Sort.SCAN
    }
    assert {sort_of(name) for name in ("a.raw", "a.ZRAW", "a.raw.gz")} == {Sort.PART}
    assert {sort_of(name) for name in DOCUMENTS} == {Sort.DOCUMENT}
    assert sort_of("003.png") is Sort.PICTURE
