"""Scans that come from outside: what is taken, what is refused in one line, and that nothing is left of that.

Sizes in bytes.
"""

import gzip
import io
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pydicom
import pytest

ASKED = {"sentences": ["There is a nodule."]}


@pytest.fixture(scope="module")
def open_door(cohort: Path, model: Path, viewing: Callable[..., Any]) -> Iterator[Any]:
    """A viewer with small bounds: 2 MB come in, 8 MB when unpacked."""
    made = viewing(
        cohort,
        model,
        upload=2_000_000,
        upload_files=30,
        inflated=8_000_000,
        uploads=2,
        silence_s=0.3,
    )
    yield made
    made.view.stop()


def send(viewer: Any, *files: tuple[str, bytes], report: str | None = None) -> Any:
    data = {} if report is None else {"report": report}
    return viewer.client.post("/api/uploads", files=[("files", file) for file in files], data=data)


def taken(viewer: Any, *files: tuple[str, bytes], report: str | None = None) -> dict[str, Any]:
    answer = send(viewer, *files, report=report)
    assert answer.status_code == 202, answer.text
    return viewer.ended(answer.json()["job"])


def left(viewer: Any) -> list[str]:
    """Names of uploads on disk."""
    return sorted(path.name for path in viewer.view.folder.iterdir() if path.name.startswith("upload-"))


def zipped(files: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, inside in files.items():
            archive.writestr(name, inside)
    return content.getvalue()


def test_nifti_with_its_report_becomes_a_study(open_door: Any, raw: Path) -> None:
    content = (raw / "ct3.nii.gz").read_bytes()
    ended = taken(open_door, ("../../my ct.nii.gz", content), report="Findings: A nodule. No effusion.")
    assert ended["state"] == "done", ended
    key = ended["result"]["key"]
    study = open_door.client.get(f"/api/studies/{key}").json()
    assert study["name"] == "my ct.nii.gz"
    assert [line["text"] for line in study["sentences"]] == ["A nodule.", "No effusion."]
    assert open_door.client.post(f"/api/studies/{key}/maps", json=ASKED).status_code == 200
    assert open_door.client.post("/api/search", json={}).json()["studies"][0]["uploaded"]
    folders = left(open_door)
    assert taken(open_door, ("again.nii.gz", content))["result"]["key"] == key
    assert len(left(open_door)) == len(folders)


@pytest.mark.parametrize("kind", ["files", "zip"])
def test_dicom_series_becomes_a_study_and_goes_out_as_dicom(
    open_door: Any, slices: list[bytes], kind: str
) -> None:
    pytest.importorskip("highdicom")
    files = {f"DICOM/{i}": content for i, content in enumerate(slices)}
    sent = list(files.items()) if kind == "files" else [("scan.zip", zipped(files))]
    ended = taken(open_door, *sent)
    assert ended["state"] == "done", ended
    path = f"/api/studies/{ended['result']['key']}"
    assert open_door.client.get(path).json()["volume"]["shape"] == [29, 23, 17]
    made = open_door.done(f"{path}/export", json={**ASKED, "format": "dicom"})
    assert made["state"] == "done", made
    archive = zipfile.ZipFile(io.BytesIO(open_door.client.get(made["result"]["file"]).content))
    assert set(archive.namelist()) == {"maps.pm.dcm", "regions.seg.dcm", "report.sr.dcm"}


def test_regions_go_out_as_dicom_at_the_threshold_of_each_sentence(
    open_door: Any, slices: list[bytes]
) -> None:
    pytest.importorskip("highdicom")
    ended = taken(open_door, *((f"{i}", content) for i, content in enumerate(slices)))
    path = f"/api/studies/{ended['result']['key']}"
    asked = {"sentences": ["There is a nodule.", "No effusion."], "format": "dicom"}

    def marked(thresholds: list[float | None] | None) -> list[int]:
        """Voxels of each sentence's region."""
        made = open_door.done(f"{path}/export", json={**asked, "thresholds": thresholds})
        archive = zipfile.ZipFile(io.BytesIO(open_door.client.get(made["result"]["file"]).content))
        file = pydicom.dcmread(io.BytesIO(archive.read("regions.seg.dcm")))
        whose = [
            frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber
            for frame in file.PerFrameFunctionalGroupsSequence
        ]
        frames = file.pixel_array.reshape(len(whose), -1).sum(1)
        return [int(frames[np.array(whose) == number].sum()) for number in (1, 2)]

    own = marked(None)
    assert marked([None, None]) == own
    first, second = marked([-1.0, None])
    assert (first > own[0], second) == (True, own[1])
    first, second = marked([None, -1.0])
    assert (first, second > own[1]) == (own[0], True)
    wrong = open_door.client.post(f"{path}/export", json={**asked, "thresholds": [0.1]})
    assert (wrong.status_code, wrong.json()["reason"]) == (422, "bad-setting")


def test_similar_studies_of_an_upload(open_door: Any, raw: Path) -> None:
    key = taken(open_door, ("ct.nii.gz", (raw / "ct1.nii.gz").read_bytes()))["result"]["key"]
    open_door.done(f"/api/studies/{key}/similar", json={})
    found = open_door.client.post(f"/api/studies/{key}/similar", json={"top": 2}).json()["studies"]
    assert len(found) == 2


def pair(raw: Path, ending: str) -> list[tuple[str, bytes]]:
    """A scan as SimpleITK writes it: a header, and its voxels in a second file."""
    sitk = pytest.importorskip("SimpleITK")
    with tempfile.TemporaryDirectory() as folder:
        sitk.WriteImage(sitk.ReadImage(str(raw / "ct1.nii.gz")), str(Path(folder) / f"one{ending}"))
        return sorted((path.name, path.read_bytes()) for path in Path(folder).iterdir())


def away(name: str, header: bytes) -> tuple[str, bytes]:
    return name, header.replace(b"one.raw", b"/etc/passwd")


def local(name: str, header: bytes) -> tuple[str, bytes]:
    return name, header.replace(b"one.raw", b"LOCAL")


def long(name: str, header: bytes) -> tuple[str, bytes]:
    return name, header + b"\n" * 1_900_000


@pytest.mark.parametrize("ending", [".mhd", ".nhdr"])
def test_a_header_and_its_voxels_in_two_files_are_one_scan(open_door: Any, raw: Path, ending: str) -> None:
    def shown(*files: tuple[str, bytes]) -> tuple[str, nib.Nifti1Image]:
        ended = taken(open_door, *files)
        assert ended["state"] == "done", ended
        path = f"/api/studies/{ended['result']['key']}"
        content = open_door.client.get(f"{path}/scan.nii.gz").content
        name = open_door.client.get(path).json()["name"]
        return name, nib.Nifti1Image.from_bytes(gzip.decompress(content))

    _, whole = shown(("ct.nii.gz", (raw / "ct1.nii.gz").read_bytes()))
    for files in (pair(raw, ending), pair(raw, ending)[::-1]):
        name, scan = shown(*files)
        assert name == f"one{ending}"
        np.testing.assert_array_equal(scan.get_fdata(), whole.get_fdata())
        np.testing.assert_allclose(scan.affine, whole.affine, atol=1e-4)


def bomb() -> bytes:
    """A header that promises 1 GB, of which the zeros come."""
    header = nib.Nifti1Header()
    header.set_data_shape((1024, 1024, 512))
    header.set_data_dtype(np.int16)
    header["magic"], header["vox_offset"] = b"n+1", 352
    return gzip.compress(header.binaryblock + b"\0" * 4 + b"\0" * 20_000_000)


BAD: dict[str, tuple[Callable[[Path], list[tuple[str, bytes]]], str]] = {
    "text": (lambda _: [("ct.nii.gz", b"hello")], "unreadable"),
    "empty": (lambda _: [("ct.nii.gz", b"")], "empty-file"),
    "cut off": (lambda raw: [("a.nii.gz", (raw / "ct0.nii.gz").read_bytes()[:9000])], "truncated-file"),
    "nifti bomb": (lambda _: [("a.nii.gz", bomb())], "absurd-size"),
    "zip bomb": (lambda _: [("a.zip", zipped({"a.dcm": b"\0" * 50_000_000}))], "absurd-size"),
    "zip of paths": (lambda _: [("a.zip", zipped({"../../a.dcm": b"x"}))], "unsafe-path"),
    "no picture": (lambda _: [("a.txt", b"hello"), ("b.txt", b"you")], "no-scan"),
    "two scans": (lambda _: [("a.nii", b"1"), ("b.nii", b"2")], "many-scans"),
    "header alone": (lambda raw: pair(raw, ".mhd")[:1], "missing-file"),
    "header of another": (lambda raw: [pair(raw, ".mhd")[0], ("b.raw", b"x")], "missing-file"),
    "header that leads away": (lambda raw: [away(*pair(raw, ".mhd")[0]), ("passwd", b"x")], "truncated-file"),
    "voxels behind the header": (lambda raw: [local(*pair(raw, ".mhd")[0]), ("LOCAL", b"x")], "missing-file"),
    "header without end": (lambda raw: [long(*pair(raw, ".mhd")[0]), pair(raw, ".mhd")[1]], "unreadable"),
    "two headers": (lambda raw: pair(raw, ".mhd")[:1] * 2, "many-scans"),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_cannot_be_read_is_refused_in_one_line_and_gone(open_door: Any, raw: Path, kind: str) -> None:
    make, reason = BAD[kind]
    before = left(open_door)
    ended = taken(open_door, *make(raw))
    assert ended["state"] == "failed"
    assert ended["error"]["reason"] == reason, ended
    sentence = ended["error"]["sentence"]
    assert "\n" not in sentence
    assert str(open_door.view.folder) not in sentence
    assert "upload-" not in sentence
    assert left(open_door) == before


def test_uploads_are_bounded_in_bytes_and_files(open_door: Any) -> None:
    before = left(open_door)
    assert send(open_door, ("a.nii", b"\0" * 2_100_000)).status_code == 413
    assert send(open_door, *[(f"{i}.dcm", b"x") for i in range(31)]).status_code == 413
    pieces = iter(
        [b"--b\r\nContent-Disposition: form-data; name=f; filename=a\r\n\r\n", *[b"\0" * 500_000] * 5]
    )
    kind = {"Content-Type": "multipart/form-data; boundary=b"}  # of a length that nobody told
    assert open_door.client.post("/api/uploads", content=pieces, headers=kind).status_code == 413
    assert left(open_door) == before


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{}", "application/json", 415),
        (b"", "multipart/form-data", 415),
        (b"nothing", "multipart/form-data; boundary=b", 400),
        (b"--b--\r\n", "multipart/form-data; boundary=b", 400),
        (
            b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\n1\r\n--b--\r\n',
            "multipart/form-data; boundary=b",
            400,
        ),
        (
            b'--b\r\nContent-Disposition: form-data; filename="a.nii"\r\n\r\n1',
            "multipart/form-data; boundary=b",
            400,
        ),
        (
            b'--b\r\nContent-Disposition: form-data; filename="a.hdr"\r\n\r\n1',
            "multipart/form-data; boundary=b",
            422,
        ),
        (b"--b\r\n" + b"X: 1\r\n" * 50, "multipart/form-data; boundary=b", 400),
        (b"--b\r\n" + b"X" * 20_000, "multipart/form-data; boundary=b", 400),
    ],
)
def test_half_and_wrong_forms_are_refused(open_door: Any, body: bytes, kind: str, status: int) -> None:
    before = left(open_door)
    answer = open_door.client.post("/api/uploads", content=body, headers={"Content-Type": kind})
    assert answer.status_code == status, answer.text
    assert left(open_door) == before


def test_oldest_upload_makes_room(open_door: Any, raw: Path) -> None:
    keys = [
        taken(open_door, ("a.nii.gz", (raw / f"ct{i}.nii.gz").read_bytes()))["result"]["key"]
        for i in range(3)
    ]
    assert len(left(open_door)) == 2
    assert open_door.client.get(f"/api/studies/{keys[0]}").status_code == 404
    assert open_door.client.get(f"/api/studies/{keys[2]}").status_code == 200
