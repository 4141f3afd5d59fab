"""What can be looked at without a model: studies, search, scans, masks.

Axes: x right, y front, z up (RAS+); places in mm.
"""

import gzip
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from simcrop.data.ingest import ingest
from simcrop.data.readers import read_volume
from simcrop.data.store.cohort import open_cohort
from simcrop.errors import SimcropError
from simcrop.evaluation.wording.marks import mark_of
from simcrop.viewer.shown import step_of


def image(content: bytes) -> nib.Nifti1Image:
    return nib.Nifti1Image.from_bytes(gzip.decompress(content))


def test_about_says_what_is_open(viewer: Any) -> None:
    about = viewer.client.get("/api/about").json()
    assert about["kind"] == "cohort"
    assert about["splits"] == ["train", "valid"]
    assert about["labels"] == ["Nodule"]
    assert about["model"]["method"] == "simcrop"
    assert about["model"]["patch_mm"] == [8.0, 10.0, 16.0]
    assert about["model"]["fine"] == [1, 8]
    assert about["can"]["similar"]
    assert not about["can"]["open"]


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ({}, ["ct0", "ct1", "ct2", "ct3"]),
        ({"words": "NODULE left"}, ["ct0"]),
        ({"words": "ct2"}, ["ct2"]),
        ({"words": "nodule effusion right"}, []),
        ({"split": "valid"}, ["ct2", "ct3"]),
        ({"labels": ["Nodule"]}, ["ct0"]),
        ({"labels": ["Nodule"], "split": "valid"}, []),
        ({"words": "lung", "page": 7}, ["ct0", "ct3"]),
    ],
)
def test_search_finds_every_word_and_no_more(viewer: Any, asked: dict[str, Any], names: list[str]) -> None:
    found = viewer.client.post("/api/search", json=asked).json()
    assert [one["name"] for one in found["studies"] if not one["uploaded"]] == names


def test_report_is_given_by_sentence_with_its_marks(viewer: Any) -> None:
    study = viewer.client.get(f"/api/studies/{viewer.key('ct0')}").json()
    texts = [line["text"] for line in study["sentences"]]
    assert texts[:2] == ["There is a nodule in the left lung.", "No effusion."]
    assert [line["mark"] for line in study["sentences"]] == [mark_of(text) for text in texts]
    assert [line["section"] for line in study["sentences"]] == ["findings"] * 3 + ["impression"]
    assert [line["n"] for line in study["sentences"]] == [0, 1, 2, 3]


def test_scan_is_the_stored_one_in_its_place(viewer: Any, cohort: Path) -> None:
    stored = next(study for study in open_cohort(cohort) if study.id == "ct0")
    answer = viewer.client.get(f"/api/studies/{viewer.key('ct0')}/scan.nii.gz")
    found = image(answer.content)
    assert answer.headers["content-type"] == "application/gzip"
    assert found.get_data_dtype() == np.int16
    assert (np.asanyarray(found.dataobj) == stored.read()).all()
    assert np.allclose(found.affine, stored.affine)


def test_truth_lies_on_the_scan_and_its_classes_have_names(viewer: Any, cohort: Path) -> None:
    stored = next(study for study in open_cohort(cohort) if study.id == "ct0")
    key = viewer.key("ct0")
    found = image(viewer.client.get(f"/api/studies/{key}/truth.nii.gz").content)
    assert found.get_data_dtype() == np.uint8
    assert (np.asanyarray(found.dataobj) == stored.mask()).all()
    classes = viewer.client.get(f"/api/studies/{key}").json()["truth"]["classes"]
    assert [(one["value"], one["name"]) for one in classes] == [(1, "right lung"), (2, "left lung")]
    assert viewer.client.get(f"/api/studies/{viewer.key('ct2')}/truth.nii.gz").status_code == 404


def test_mask_beside_a_scan_of_a_folder_lies_on_it_however_it_is_stored(
    raw: Path, viewing: Callable[..., Any], tmp_path: Path
) -> None:
    for name in ("ct0.nii.gz", "classes.json"):
        shutil.copy(raw / name, tmp_path)
    mask = nib.load(raw / "ct0_mask.nii.gz")
    flipped = mask.as_reoriented(np.array([[0, -1], [1, 1], [2, -1]]))
    flipped.to_filename(tmp_path / "ct0_mask.nii.gz")
    shown = viewing(tmp_path)
    found = image(shown.client.get(f"/api/studies/{shown.key()}/truth.nii.gz").content)
    wanted = nib.as_closest_canonical(mask)
    assert (np.asanyarray(found.dataobj) == np.asanyarray(wanted.dataobj)).all()
    np.testing.assert_allclose(found.affine, wanted.affine, atol=1e-4)
    classes = shown.client.get(f"/api/studies/{shown.key()}").json()["truth"]["classes"]
    assert [(one["value"], one["name"]) for one in classes] == [(1, "right lung"), (2, "left lung")]


def test_mask_that_lies_elsewhere_is_a_note_and_the_scan_is_shown(
    raw: Path, viewing: Callable[..., Any], tmp_path: Path
) -> None:
    shutil.copy(raw / "ct0.nii.gz", tmp_path)
    mask = nib.load(raw / "ct0_mask.nii.gz")
    nib.Nifti1Image(np.asanyarray(mask.dataobj)[1:], mask.affine).to_filename(tmp_path / "ct0_mask.nii.gz")
    shown = viewing(tmp_path)
    study = shown.client.get(f"/api/studies/{shown.key()}").json()
    assert study["truth"] is None
    assert "mask cannot be shown" in study["notes"][-1]
    assert str(tmp_path) not in study["notes"][-1]
    assert shown.client.get(f"/api/studies/{shown.key()}/scan.nii.gz").status_code == 200


def test_large_scan_is_thinned_where_it_is_finest_and_says_so(raw: Path, viewing: Callable[..., Any]) -> None:
    assert step_of((29, 23, 17), (2.0, 2.5, 4.0), 29 * 23 * 17) == (1, 1, 1)
    assert step_of((29, 23, 17), (2.0, 2.5, 4.0), 29 * 23 * 17 - 1) == (2, 1, 1)
    small = viewing(raw, voxels=4000)
    key = small.key("ct0")
    study = small.client.get(f"/api/studies/{key}").json()
    assert study["volume"]["reduced"]
    assert study["volume"]["shape"] == [29, 23, 17]
    assert "thinned" in study["notes"][-1]
    found = image(small.client.get(f"/api/studies/{key}/scan.nii.gz").content)
    whole = read_volume(raw / "ct0.nii.gz").to_ras()
    at = np.array([3, 2, 5])
    mm = nib.affines.apply_affine(found.affine, at)
    there = np.rint(nib.affines.apply_affine(np.linalg.inv(whole.affine), mm)).astype(int)
    assert np.asanyarray(found.dataobj)[tuple(at)] == whole.hu[tuple(there)]
    assert study["volume"]["shown_spacing_mm"] == pytest.approx(found.header.get_zooms())


def test_folder_of_scans_is_shown_with_its_table_of_reports(raw: Path, viewing: Callable[..., Any]) -> None:
    shown = viewing(raw)
    found = shown.client.post("/api/search", json={"words": "effusion right"}).json()["studies"]
    assert [one["name"] for one in found] == ["ct2"]
    about = shown.client.get("/api/about").json()
    assert about["kind"] == "scans"
    assert about["studies"] == 4
    assert about["model"] is None
    maps = shown.client.post(f"/api/studies/{found[0]['key']}/maps", json={"sentences": ["A nodule."]})
    assert maps.status_code == 409
    assert maps.json()["reason"] == "no-model"


@pytest.mark.parametrize("what", ["cohort", "scans", "scan"])
def test_name_that_is_no_text_is_shown_all_the_same(
    what: str,
    cohort: Path,
    raw: Path,
    viewing: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    named = tmp_path / os.fsdecode(b"M\xfcller")
    shutil.copytree(cohort if what == "cohort" else raw, named / "in")
    shutil.copy(raw / "ct0.nii.gz", f"{named}.nii.gz")
    monkeypatch.chdir(named)
    places = {"cohort": Path("in"), "scans": named, "scan": Path(f"{named}.nii.gz")}
    client = viewing(places[what]).client
    answer = client.get("/api/about")
    assert answer.status_code == 200
    assert "M\\udcfcller" in answer.json()["name"]
    assert client.post("/api/search", json={}).status_code == 200


def test_guessed_sides_and_sizes_are_said_of_a_cohorts_scan_as_of_a_file(
    viewing: Callable[..., Any], scan: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "raw").mkdir()
    np.savez(tmp_path / "raw" / "ct.npz", ct=scan(3).transpose(2, 1, 0))
    ingest(tmp_path / "raw", "folder", tmp_path / "cohort", (2.0, 2.5, 4.0))
    notes = []
    for place in ("raw", "cohort"):
        shown = viewing(tmp_path / place)
        study = shown.client.get(f"/api/studies/{shown.key()}").json()
        notes.append({note for note in study["notes"] if note.startswith("guessed")})
    assert any("guessed axes" in note for note in notes[0])
    assert notes[0] == notes[1]


def test_single_scan_is_shown_with_its_report(raw: Path, viewing: Callable[..., Any], tmp_path: Path) -> None:
    report = tmp_path / "report.txt"
    report.write_text("Findings: There is a nodule. No effusion.\nImpression: A nodule.\n")
    shown = viewing(raw / "ct3.nii.gz", report=report)
    study = shown.client.get(f"/api/studies/{shown.key()}").json()
    assert [line["text"] for line in study["sentences"]] == [
        "There is a nodule.",
        "No effusion.",
        "A nodule.",
    ]


@pytest.mark.parametrize("name", ["notes.txt", "broken.nii.gz"])
def test_single_file_that_is_no_scan_is_refused_before_anything_opens(
    viewing: Callable[..., Any], tmp_path: Path, name: str
) -> None:
    (tmp_path / name).write_bytes(b"no scan")
    with pytest.raises(SimcropError, match=name) as caught:
        viewing(tmp_path / name)
    assert "\n" not in caught.value.sentence


def test_keys_are_the_same_in_each_start_and_hold_no_name(
    viewer: Any, cohort: Path, viewing: Callable[..., Any]
) -> None:
    again = viewing(cohort)
    assert again.key("ct3") == viewer.key("ct3")
    assert "ct3" not in again.key("ct3")
    assert len({again.key(f"ct{i}") for i in range(4)}) == 4


def test_unknown_study_is_not_found_in_one_line(viewer: Any) -> None:
    answer = viewer.client.get(f"/api/studies/{'0' * 24}")
    assert answer.status_code == 404
    assert answer.json() == {"reason": "not-found", "sentence": "there is no such study here"}
    assert viewer.client.get("/api/nothing").json()["reason"] == "not-found"
    assert viewer.client.put("/api/about").json()["reason"] == "bad-method"


def test_what_is_wrong_in_a_body_is_said_in_plain_words(viewer: Any) -> None:
    path = f"/api/studies/{viewer.key()}/maps"

    def told(**asked: Any) -> str:
        return viewer.client.post(path, json=asked).json()["sentence"]

    assert told(sentences=["a" * 2001]) == "sentences.0: expected at most 2000 characters"
    assert told(sentences=["a", " "]) == "sentences.1: expected some words"
    assert told(sentences=["a"] * 65) == "sentences: expected at most 64 of them"
    assert told(sentences=["a"], fine=2) == "fine: expected 1 or 8"
    assert told() == "sentences: expected it to be there"


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"", "application/json", 400),
        (b'{"words": 3}', "application/json", 422),
        (b'{"page": NaN}', "application/json", 422),
        (b'{"wrds": "a"}', "application/json", 422),
        (b'{"words": "a"}', "text/plain", 415),
        (b'{"words": "' + b"a" * (300 << 10) + b'"}', "application/json", 413),
    ],
)
def test_bad_bodies_are_refused_without_repeating_them(
    viewer: Any, body: bytes, kind: str, status: int
) -> None:
    answer = viewer.client.post("/api/search", content=body, headers={"Content-Type": kind})
    assert answer.status_code == status
    assert len(answer.json()["sentence"]) < 200
    assert "wrds" not in answer.text or body == b'{"wrds": "a"}'
