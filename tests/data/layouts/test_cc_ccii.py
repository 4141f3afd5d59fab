"""CC-CCII's archives -> studies: classes, patients, splits; archives that cannot be trusted; the real excerpt."""

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from simcrop.data.ingest import ingest
from simcrop.data.layouts import list_studies
from simcrop.data.layouts.cc_ccii import stated_slices
from simcrop.errors import SimcropError


def picture(seed: int) -> bytes:
    grey = np.random.default_rng(seed).integers(30, 60, (9, 11)).astype(np.uint8)
    grey[3:7, 2:6] = 215
    content = io.BytesIO()
    Image.fromarray(grey).save(content, "PNG")
    return content.getvalue()


def put_zip(path: Path, scans: list[str], slices: int = 5) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for scan in scans:
            for z in range(slices):
                archive.writestr(f"{scan}/{z:04d}.png", picture(z + len(scan)))
    return path


def test_class_patient_and_scan_come_from_the_paths(tmp_path: Path) -> None:
    path = put_zip(tmp_path / "NCP-8.zip", ["NCP/25/1181", "NCP/25/1183"])
    put_zip(tmp_path / "deeper/Normal-1.zip", ["742/177"])
    ncp, second, normal = list_studies("cc-ccii", tmp_path).studies
    assert (ncp.id, ncp.patient, ncp.scan) == ("NCP-25-1181", "25", "NCP-1181")
    assert ncp.path == path / "NCP/25/1181"
    assert (second.id, second.patient) == ("NCP-25-1183", "25")
    assert normal.labels == {"Normal": 1, "CP": 0, "NCP": 0}
    assert ncp.labels == {"Normal": 0, "CP": 0, "NCP": 1}


def test_folders_are_read_like_archives_but_not_links(tmp_path: Path) -> None:
    home = tmp_path / "CP/7/31"
    home.mkdir(parents=True)
    for z in range(3):
        (home / f"{z}.png").write_bytes(picture(z))
    (study,) = list_studies("cc-ccii", tmp_path).studies
    assert (study.id, study.path) == ("CP-7-31", home)
    (home / "3.png").symlink_to(home / "0.png")
    listing = list_studies("cc-ccii", tmp_path)
    assert [r.reason for r in listing.refusals] == ["unsafe-path"]


def test_a_link_among_the_slices_costs_its_own_scan_alone(tmp_path: Path) -> None:
    for scan in ("30", "31", "32"):
        (tmp_path / f"CP/7/{scan}").mkdir(parents=True)
        (tmp_path / f"CP/7/{scan}/0.png").write_bytes(picture(0))
    (tmp_path / "CP/7/31/1.png").symlink_to(tmp_path / "CP/7/30/0.png")
    listing = list_studies("cc-ccii", tmp_path)
    assert [study.id for study in listing.studies] == ["CP-7-30", "CP-7-32"]
    assert [(r.name, r.reason) for r in listing.refusals] == [("CP-7-31", "unsafe-path")]


def test_all_scans_of_a_patient_are_in_one_part_and_the_split_is_stored(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    put_zip(raw / "CP-1.zip", [f"CP/{p}/{p}{s}" for p in range(1, 13) for s in (0, 1)], 3)
    put_zip(raw / "NCP-1.zip", [f"NCP/{p}/9{p}" for p in range(1, 13)], 3)
    ingest(raw, "cc-ccii", tmp_path / "cohort", (60.0, 60.0, 90.0))
    listing = list_studies("cc-ccii", raw)
    parts = {study.patient: set[str]() for study in listing.studies}
    for study in listing.studies:
        parts[study.patient].add(study.split)
    assert all(len(part) == 1 for part in parts.values())
    assert len(set.union(*parts.values())) > 1
    assert listing.split is not None
    facts = json.loads((tmp_path / "cohort/cohort.json").read_text())["split"]
    assert (facts["hash"], facts["seed"], facts["kind"]) == (listing.split.hash, 0, "by patient")


def test_an_archive_that_cannot_be_trusted_is_one_refusal(tmp_path: Path) -> None:
    put_zip(tmp_path / "raw/CP-1.zip", ["CP/1/10"])
    put_zip(tmp_path / "raw/CP-2.zip", ["CP/2/20", "../../evil/2/20"])
    broken = put_zip(tmp_path / "raw/NCP-1.zip", ["NCP/3/30"])
    broken.write_bytes(broken.read_bytes()[:-30])
    listing = list_studies("cc-ccii", tmp_path / "raw")
    assert [(r.name, r.reason) for r in listing.refusals] == [
        ("CP-2.zip", "unsafe-path"),
        ("NCP-1.zip", "corrupt-file"),
    ]
    assert all("\n" not in r.sentence for r in listing.refusals)
    done = ingest(tmp_path / "raw", "cc-ccii", tmp_path / "cohort", (60.0, 60.0, 90.0))
    assert (done.taken, done.refused) == (1, 2)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cohort", "raw"]


def test_a_new_archive_is_read_again(tmp_path: Path) -> None:
    path = put_zip(tmp_path / "raw/CP-1.zip", ["CP/1/10"])
    assert ingest(tmp_path / "raw", "cc-ccii", tmp_path / "cohort", (60.0, 60.0, 90.0)).resumed == 0
    assert ingest(tmp_path / "raw", "cc-ccii", tmp_path / "cohort", (60.0, 60.0, 90.0)).resumed == 1
    put_zip(path, ["CP/1/10"], slices=6)
    assert ingest(tmp_path / "raw", "cc-ccii", tmp_path / "cohort", (60.0, 60.0, 90.0)).resumed == 0


def test_a_scan_twice_or_at_no_patient_is_refused(tmp_path: Path) -> None:
    put_zip(tmp_path / "CP-1.zip", ["CP/1/10", "CP"])
    put_zip(tmp_path / "CP-2.zip", ["CP/1/10"])
    listing = list_studies("cc-ccii", tmp_path)
    assert [r.reason for r in listing.refusals] == ["bad-name", "duplicate-name"]
    assert len(listing.studies) == 1


def test_names_that_no_file_system_holds_are_refused(tmp_path: Path) -> None:
    put_zip(tmp_path / "CP-1.zip", ["CP/1/10", f"CP/1/{'x' * 3000}"])
    listing = list_studies("cc-ccii", tmp_path)
    assert [s.id for s in listing.studies] == ["CP-1-10"]
    (refusal,) = listing.refusals
    assert refusal.reason == "bad-name"
    assert len(refusal.name) == 80
    assert len(refusal.sentence) < len(str(tmp_path)) + 150


def test_too_few_slices_are_noted(tmp_path: Path) -> None:
    put_zip(tmp_path / "CP-1.zip", ["CP/1/10", "CP/1/11"])
    table = tmp_path / "unzip_filenames.csv"
    table.write_text("zip_file,label,patient_id,scan_id,n_slice\nCP-1.zip,CP,1,10,7\nCP-1.zip,CP,1,11,5\n")
    short, whole = list_studies("cc-ccii", tmp_path).studies
    assert "5 slices, unzip_filenames.csv says 7" in short.notes
    assert whole.notes == ("no report",)
    table.write_text("zip_file,label,patient_id,scan_id,n_slice\nCP-1.zip,CP,1,10,many\n")
    with pytest.raises(SimcropError, match="n_slice"):
        list_studies("cc-ccii", tmp_path)
    table.write_text("zip_file,label,patient_id,scan_id\nCP-1.zip,CP,1,10\n")
    with pytest.raises(SimcropError, match="no column n_slice"):
        list_studies("cc-ccii", tmp_path)


def test_a_folder_without_archives_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "scans").mkdir()
    with pytest.raises(SimcropError, match=r"NCP-1\.zip") as caught:
        list_studies("cc-ccii", tmp_path)
    assert caught.value.reason == "no-scans"


def test_the_real_excerpt_states_its_slices(real_data: Path) -> None:
    stated = stated_slices(real_data / "ccccii/unzip_filenames_excerpt.csv")
    assert len(stated) == 24
    assert stated["NCP", "25", "1181"] == 129
    assert stated["NCP", "25", "1183"] == 45
    assert {kind for kind, _, _ in stated} == {"NCP", "CP", "Normal"}
