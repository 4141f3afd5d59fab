"""What a folder holds beside its scans is named, each thing once, and nothing that belongs to a scan is."""

import zipfile
from pathlib import Path

import pytest

from simcrop.data.readers.find import survey

BYTES = b"\0\1\2 no voxels" * 30


def put(root: Path, *places: str, content: bytes = BYTES) -> None:
    for place in places:
        path = root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def left(root: Path) -> dict[str, tuple[str, int]]:
    """Place -> kind and count."""
    found = survey(root).left
    for one in found:
        assert str(one.path) in one.sentence
        assert "\n" not in one.sentence
    return {one.path.relative_to(root).as_posix(): (one.kind.name, one.count) for one in found}


def test_each_foreign_scan_is_named_and_slices_by_their_folder(tmp_path: Path) -> None:
    put(tmp_path, "a/ct.hdr", "a/ct.img", "b/lone.img", "c/x.nii.bz2", "c/y.npy", "d/all.tar.gz", "ok.nii.gz")
    put(tmp_path, *(f"s/{i}.dcm.gz" for i in range(9)), *(f"p/{i:03}.png" for i in range(9)))
    put(tmp_path, "u/1.foo", "u/2.foo", "w/ct.nii.gz.part", "one/1.dcm.gz", "z.zarr/0.0", "j/lonely.raw")
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.writestr("a/ct.nii.gz", b"x")
    assert left(tmp_path) == {
        "a/ct.hdr": (".hdr/.img", 1),
        "b/lone.img": (".hdr/.img", 1),
        "c/x.nii.bz2": (".nii.bz2", 1),
        "c/y.npy": (".npy", 1),
        "d/all.tar.gz": (".tar.gz", 1),
        "s": (".dcm.gz", 9),
        "p": ("pictures", 9),
        "u": ("unknown", 2),
        "w/ct.nii.gz.part": ("unfinished", 1),
        "one/1.dcm.gz": (".dcm.gz", 1),
        "z.zarr": ("chunked stores", 1),
        "z.zip": (".zip", 1),
        "j/lonely.raw": (".raw", 1),
    }
    assert survey(tmp_path).scans == [tmp_path / "ok.nii.gz"]


@pytest.mark.parametrize(
    "places",
    [
        ("ct.mhd", "ct.raw"),
        ("ct.mhd", "other.raw"),  # the header may mean it
        ("ct.nhdr", "ct.raw.gz", "ct2.nhdr", "ct2.img"),
        ("ct.nii.gz", "ct.json", "ct.nii.gz.md5", "figure.png", "README.md", ".DS_Store", "._ct.nii.gz"),
        ("LICENSE", "VERSION"),
        ("_SUCCESS",),
        ("VIEWER/view.exe", "VIEWER/res.dat", "VIEWER/x.cab", "VIEWER/lang.deu", "JRE/jvm.dll", "JRE/a.bfc"),
        ("HELP/view.chm", "HELP/font.ttf", "HELP/beep.wav", "p1/surface.ply"),
        ("cohort/cohort.json", "cohort/volumes/a.b2nd", "cohort/x.npy"),
        (".git/objects/ab", "__MACOSX/ct.npy"),
    ],
)
def test_what_belongs_to_a_scan_or_to_nobody_is_not_named(tmp_path: Path, places: tuple[str, ...]) -> None:
    text = places[0] == "LICENSE"
    put(tmp_path, *places, content=b"" if "_SUCCESS" in places else b"Plain words.\n" if text else BYTES)
    assert left(tmp_path) == {}


def test_a_second_raw_file_beside_a_whole_pair_has_no_header(tmp_path: Path) -> None:
    put(tmp_path, "ct.mhd", "ct.raw", "other.raw")
    assert left(tmp_path) == {"other.raw": (".raw", 1)}


def test_links_that_lead_out_or_nowhere_are_named(tmp_path: Path) -> None:
    put(tmp_path, "out/ct.nii.gz", "in/ct.nii.gz")
    root = tmp_path / "in"
    (root / "far.nii.gz").symlink_to(tmp_path / "out/ct.nii.gz")
    (root / "folder").symlink_to(tmp_path / "out")
    (root / "again").symlink_to(root)
    (root / "gone.nii.gz").symlink_to(tmp_path / "nothing.nii.gz")
    (root / "s").mkdir()
    for i in range(3):
        (root / f"s/{i}.dcm").symlink_to(tmp_path / f"annexed/{i}.dcm")
    assert survey(root).scans == [root / "ct.nii.gz"]
    assert left(root) == {
        "far.nii.gz": ("links", 1),
        "folder": ("links", 1),
        "gone.nii.gz": ("links", 1),
        "s": ("links", 3),
    }


def test_a_scan_beside_a_program_is_named_all_the_same(tmp_path: Path) -> None:
    put(tmp_path, "viewer.exe", "ct.nii.bz2", "ct.npy", "1.dcm.gz", "lang.deu")
    assert set(left(tmp_path)) == {"ct.nii.bz2", "ct.npy", "1.dcm.gz"}


def test_what_was_thrown_away_is_counted_and_not_taken(tmp_path: Path) -> None:
    put(
        tmp_path,
        "p/ct.nii.gz",
        ".Trash-1000/files/a.nii.gz",
        ".Trash-1000/files/b/c.mhd",
        "q/@eaDir/ct.nii.gz",
    )
    put(tmp_path, "#recycle/notes.txt", "$RECYCLE.BIN/s/1.dcm", content=b"\0" * 128 + b"DICM" + BYTES)
    put(tmp_path, ".git/annex/objects/x.nii.gz/x.nii.gz", ".hidden/._a.nii.gz", "@patient/ct.nii.gz")
    assert survey(tmp_path).scans == [tmp_path / "@patient/ct.nii.gz", tmp_path / "p/ct.nii.gz"]
    assert left(tmp_path) == {
        "$RECYCLE.BIN": ("hidden scans", 1),
        ".Trash-1000": ("hidden scans", 2),
        "q/@eaDir": ("hidden scans", 1),
    }
    assert survey(tmp_path / ".hidden").scans == []
    assert survey(tmp_path / ".Trash-1000").scans == [
        tmp_path / ".Trash-1000/files/a.nii.gz",
        tmp_path / ".Trash-1000/files/b/c.mhd",
    ]


def test_links_into_hidden_folders_are_the_scans(tmp_path: Path) -> None:
    put(tmp_path, ".git/annex/objects/MD5.nii.gz", ".store/MD5.nii.gz", ".store/other.nii.gz")
    (tmp_path / "p").mkdir()
    (tmp_path / "p/ct.nii.gz").symlink_to("../.git/annex/objects/MD5.nii.gz")
    (tmp_path / "p/second.nii.gz").symlink_to("../.store/MD5.nii.gz")
    assert survey(tmp_path).scans == [tmp_path / "p/ct.nii.gz", tmp_path / "p/second.nii.gz"]
    assert left(tmp_path) == {".store": ("hidden scans", 1)}
