"""Maps, regions, similar studies and exports, each against the function of the command line.

Axes: cells of a map `(x, y, z)`; places in RAS+ mm.
"""

import gzip
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from nibabel.affines import apply_affine

from simcrop import load
from simcrop.data.store.cohort import open_cohort
from simcrop.tasks.grounding.ground import boxes, ground, measures
from simcrop.tasks.retrieval.similar import SimilarOptions
from simcrop.tasks.retrieval.similar import similar as similar_of_cli
from simcrop.viewer.regions import regions
from simcrop.viewer.sight import size_of

ASKED = ["There is a nodule in the left lung.", "No effusion."]


def maps_of(viewer: Any, key: str, **asked: Any) -> list[dict[str, Any]]:
    answer = viewer.client.post(f"/api/studies/{key}/maps", json={"sentences": ASKED, **asked})
    assert answer.status_code == 200, answer.text
    return answer.json()["maps"]


@pytest.mark.parametrize("asked", [{}, {"fine": 8}, {"top_k": 3}, {"top_k": "auto"}])
def test_maps_say_what_the_command_line_says(
    viewer: Any, cohort: Path, model: Path, asked: dict[str, Any]
) -> None:
    study = next(study for study in open_cohort(cohort) if study.id == "ct0")
    wanted = load(model).ground(study.volume(), ASKED, asked.get("top_k"), asked.get("fine", 1))
    for one, heat in zip(maps_of(viewer, viewer.key("ct0"), **asked), wanted, strict=True):
        assert {name: one[name] for name in measures(heat)} == {
            name: pytest.approx(value, abs=1e-5) for name, value in measures(heat).items()
        }
        assert [box["low_mm"] for box in one["boxes"]] == [box["low_mm"] for box in boxes(heat)]
        assert one["threshold"] == pytest.approx(float(heat.scores[-1]), abs=1e-5)
    assert [one["mark"] for one in maps_of(viewer, viewer.key("ct0"))] == ["affirmed", "denied"]


def test_map_lies_in_the_patient_where_the_boxes_are(viewer: Any) -> None:
    one = maps_of(viewer, viewer.key("ct0"))[0]
    content = viewer.client.get(f"/api/maps/{one['map']}.nii.gz").content
    image = nib.Nifti1Image.from_bytes(gzip.decompress(content))
    values = np.asanyarray(image.dataobj)
    assert image.get_data_dtype() == np.float32
    assert np.isfinite(values).all()
    assert values.min() == pytest.approx(one["least"])
    for box in one["boxes"]:
        middle = (np.array(box["low_mm"]) + box["high_mm"]) / 2
        cell = np.rint(apply_affine(np.linalg.inv(image.affine), middle)).astype(int)
        assert values[tuple(cell)] == pytest.approx(box["similarity"])
        assert apply_affine(image.affine, cell) == pytest.approx(middle, abs=0.01)


def test_regions_at_the_maps_own_threshold_hold_its_boxes(viewer: Any) -> None:
    one = maps_of(viewer, viewer.key("ct0"))[0]
    found = viewer.client.get(f"/api/maps/{one['map']}/regions").json()["regions"]
    cell_ml = 8 * 10 * 16 / 1000
    assert sum(region["ml"] for region in found) == pytest.approx(len(one["boxes"]) * cell_ml, rel=1e-3)
    assert max(region["similarity_max"] for region in found) == pytest.approx(one["similarity_max"])
    assert [region["ml"] for region in found] == sorted((r["ml"] for r in found), reverse=True)
    none = viewer.client.get(f"/api/maps/{one['map']}/regions", params={"threshold": 2}).json()
    assert none == {"regions": []}
    assert viewer.client.get(f"/api/maps/{one['map']}/regions?threshold=high").status_code == 422


def test_centre_of_a_bent_region_lies_in_it_and_in_its_largest_level() -> None:
    values = np.zeros((5, 5, 3), np.float32)
    values[0, :, 1] = values[:, 0, 1] = values[4, :, 1] = 1  # a horseshoe, whose middle is empty
    values[0, 0, 2] = 1
    values[2, 4, 0] = 0.7
    affine = np.diag([10.0, 10.0, 20.0, 1.0])
    large, small = regions(values, np.ones_like(values, bool), affine, 0.5, 10)
    x, y, z = (np.array(large.centre_mm) / [10, 10, 20]).astype(int)
    assert values[x, y, z] == 1
    assert z == 1
    assert large.ml == 14 * 2.0
    assert (large.low_mm, large.high_mm) == ([-5.0, -5.0, 10.0], [45.0, 45.0, 50.0])
    assert small.similarity_max == pytest.approx(0.7)
    assert len(regions(values, np.ones_like(values, bool), affine, 0.5, 1)) == 1
    assert regions(values, values < 0, affine, 0.5, 9) == []


def test_looking_is_done_once(cohort: Path, model: Path, viewing: Callable[..., Any]) -> None:
    fresh = viewing(cohort, model)
    key, looked = fresh.key("ct1"), []
    look = fresh.view.sight.looked
    fresh.view.sight.looked = lambda entry: (looked.append(entry.key), look(entry))[1]
    assert fresh.done(f"/api/studies/{key}/look")["result"] == {"key": key}
    assert fresh.client.post(f"/api/studies/{key}/look").json() == {"job": None}
    one = maps_of(fresh, key)
    assert maps_of(fresh, key) == one
    assert looked == [key]
    fresh.view.stop()


def test_features_of_scans_are_bounded_in_bytes(
    viewer: Any, cohort: Path, model: Path, viewing: Callable[..., Any]
) -> None:
    maps_of(viewer, viewer.key("ct1"))
    one = viewer.view.sight.seen.find(viewer.key("ct1"))
    fresh = viewing(cohort, model, features=int(2.5 * size_of(one)))  # of three scans two have room
    for name in ("ct0", "ct1", "ct2"):
        maps_of(fresh, fresh.key(name))
    kept = fresh.view.sight.seen
    assert len(kept.values) == 2
    assert kept.used <= kept.room
    maps_of(fresh, fresh.key("ct2"), fine=8)
    assert kept.used == sum(kept.size(one) for one in kept.values.values())
    fresh.view.stop()


def test_similar_studies_are_those_of_the_command_line(viewer: Any, cohort: Path, model: Path) -> None:
    path = f"/api/studies/{viewer.key('ct1')}/similar"
    viewer.done(path, json={"top": 3})
    found = viewer.client.post(path, json={"top": 2}).json()["studies"]
    wanted = similar_of_cli(str(model), cohort, "ct1", options=SimilarOptions(top=2))
    assert [(one["name"], one["similarity"]) for one in found] == [
        (near.id, pytest.approx(near.cosine)) for near in wanted
    ]
    assert found[0]["key"] == viewer.key(found[0]["name"])


def test_export_holds_what_ground_writes(viewer: Any, raw: Path, model: Path, tmp_path: Path) -> None:
    asked = {"sentences": ASKED, "format": "nifti"}
    ended = viewer.done(f"/api/studies/{viewer.key('ct0')}/export", json=asked)
    answer = viewer.client.get(ended["result"]["file"])
    assert answer.headers["content-disposition"] == 'attachment; filename="simcrop-export.zip"'
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    ground(str(model), raw / "ct0.nii.gz", ASKED, None, tmp_path / "out")
    wanted = {path.name for path in (tmp_path / "out").iterdir() if path.name != "run.json"}
    assert set(archive.namelist()) == wanted
    mine, theirs = (
        json.loads(b) for b in (archive.read("boxes.json"), (tmp_path / "out/boxes.json").read_bytes())
    )
    assert mine["sentence_01"][0]["low_mm"] == theirs["sentence_01"][0]["low_mm"]
    dicom = viewer.done(f"/api/studies/{viewer.key('ct0')}/export", json={**asked, "format": "dicom"})
    assert dicom["state"] == "failed"
    assert dicom["error"]["reason"] == "not-dicom"


def test_exports_are_few_and_names_are_no_paths(viewer: Any) -> None:
    path = f"/api/studies/{viewer.key('ct0')}/export"
    made = [viewer.done(path, json={"sentences": ["A nodule."]}) for _ in range(2)]
    assert viewer.client.get(made[-1]["result"]["file"]).status_code == 200
    for name in ("..%2f..%2fetc%2fpasswd", "%00", "a" * 24):
        assert viewer.client.get(f"/api/files/{name}.zip").status_code == 404


@pytest.mark.parametrize(
    "asked",
    [
        {"sentences": []},
        {"sentences": [" \n "]},
        {"sentences": ["a" * 2001]},
        {"sentences": ["A nodule."] * 65},
        {"sentences": ["A nodule."], "fine": 2},
        {"sentences": ["A nodule."], "top_k": 0},
        {"sentences": ["A nodule."], "top_k": "many"},
    ],
)
def test_what_cannot_be_asked_is_refused(viewer: Any, asked: dict[str, Any]) -> None:
    assert viewer.client.post(f"/api/studies/{viewer.key()}/maps", json=asked).status_code == 422


def test_id_of_a_map_does_not_tell_its_sentence(
    cohort: Path, model: Path, viewing: Callable[..., Any]
) -> None:
    one, other = (viewing(cohort, model) for _ in range(2))
    ids = [maps_of(fresh, fresh.key("ct0"))[0]["map"] for fresh in (one, other)]
    assert ids[0] != ids[1]
    assert other.client.get(f"/api/maps/{ids[0]}.nii.gz").status_code == 404
    for fresh in (one, other):
        fresh.view.stop()
