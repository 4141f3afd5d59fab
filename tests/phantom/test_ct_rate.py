"""The phantom in CT-RATE's layout: files, tables, both releases, and that nothing depends on luck."""

import ast
import csv
import re
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from simcrop.data.report import sentences
from simcrop.errors import SimcropError
from simcrop.phantom import Request, read_truth, write_ct_rate
from simcrop.phantom.cohort import check_request
from simcrop.phantom.findings.finding import LABELS

PATIENTS, SEED = 14, 7


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """14 patients, 2 of them held out, 2 with two reconstructions; release v2, tiny."""
    out = tmp_path_factory.mktemp("phantom") / "cohort"
    write_ct_rate(out, PATIENTS, SEED, "tiny")
    return out


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def scans(out: Path) -> dict[str, Path]:
    return {path.name.removesuffix(".nii.gz"): path for path in sorted((out / "dataset").rglob("*.nii.gz"))}


def voxels(path: Path) -> np.ndarray:
    return np.asarray(nib.load(path).dataobj)


def contents(out: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()
    }


def test_every_volume_has_a_row_in_every_table(cohort: Path) -> None:
    for split, name in (("train", "train"), ("valid", "validation")):
        files = {path.name for path in scans(cohort).values() if path.name.startswith(split)}
        assert files
        for table in (
            f"radiology_text_reports/{name}_reports.csv",
            f"metadata/{name}_metadata.csv",
            f"multi_abnormality_labels/{split}_predicted_labels.csv",
        ):
            assert {row["VolumeName"] for row in rows(cohort / table)} == files
        assert (cohort / "metadata" / f"no_chest_{split}.txt").is_file()


def test_paths_follow_the_layout_and_some_patients_have_two_reconstructions(cohort: Path) -> None:
    found = scans(cohort)
    assert len(found) == PATIENTS + 2
    for volume, path in found.items():
        patient = volume.removesuffix(volume[-4:])
        split = volume.split("_")[0]
        assert path.relative_to(cohort) == Path(
            f"dataset/{split}_fixed/{patient}/{patient}_a/{volume}.nii.gz"
        )
    first = next(volume.removesuffix("_2") for volume in found if volume.endswith("_a_2"))
    one, two = voxels(found[f"{first}_1"]), voxels(found[f"{first}_2"])
    difference = (one - two)[one > -900]
    assert 0 < np.abs(difference).mean() < 20
    reports = {
        row["VolumeName"]: row["Findings_EN"]
        for row in rows(cohort / "radiology_text_reports/train_reports.csv")
    }
    assert reports[f"{first}_1.nii.gz"] == reports[f"{first}_2.nii.gz"]


def test_tables_have_the_headers_of_the_real_ones(cohort: Path, real_data: Path) -> None:
    for ours, real in (
        ("metadata/validation_metadata.csv", "validation_metadata.csv"),
        ("multi_abnormality_labels/valid_predicted_labels.csv", "valid_predicted_labels.csv"),
        ("radiology_text_reports/validation_reports.csv", "validation_reports.csv"),
    ):
        with (cohort / ours).open() as a, (real_data / "ctrate" / real).open() as b:
            assert a.readline().rstrip() == b.readline().rstrip()


def test_labels_equal_truth(cohort: Path) -> None:
    truth = read_truth(cohort)
    for split in ("train", "valid"):
        for row in rows(cohort / f"multi_abnormality_labels/{split}_predicted_labels.csv"):
            lines = truth.of(row["VolumeName"].removesuffix(".nii.gz"))
            affirmed = {line.finding for line in lines if line.finding and not line.negated}
            denied = {line.finding for line in lines if line.negated}
            assert affirmed == {label for label in LABELS if row[label] == "1"}
            assert not affirmed & denied


def test_each_sentence_has_one_line_of_truth(cohort: Path) -> None:
    truth, counts = read_truth(cohort), set()
    for name in ("train", "validation"):
        for row in rows(cohort / f"radiology_text_reports/{name}_reports.csv"):
            texts = sentences(row["Findings_EN"])
            lines = truth.of(row["VolumeName"].removesuffix(".nii.gz"))
            assert [line.sentence_index for line in lines] == list(range(len(texts)))
            for text, line in zip(texts, lines, strict=True):
                number = re.search(r"(\d+) mm", text)
                assert number is None or int(number[1]) == line.size_mm
                if line.shows and line.side in ("left", "right"):
                    assert line.side in text.lower()
            counts.add(len(texts))
    assert counts <= set(range(12, 21))


def test_geometry_in_the_header_is_that_of_the_metadata(cohort: Path) -> None:
    for row in rows(cohort / "metadata/train_metadata.csv"):
        image = nib.load(scans(cohort)[row["VolumeName"].removesuffix(".nii.gz")])
        assert nib.orientations.aff2axcodes(image.affine) == ("L", "P", "S")
        assert image.shape == (int(row["Columns"]), int(row["Rows"]), int(row["NumberofSlices"]))
        spacing = (*ast.literal_eval(row["XYSpacing"]), float(row["ZSpacing"]))
        assert np.allclose(np.diag(image.affine)[:3], np.multiply(spacing, (-1, -1, 1)))
        x, y, z = ast.literal_eval(row["ImagePositionPatient"])
        assert np.allclose(image.affine[:3, 3], (-x, -y, z), atol=1e-3)


def test_both_releases_hold_the_same_hu_after_the_rescale_of_the_table(cohort: Path, tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    write_ct_rate(raw, 5, SEED, "tiny", "v1")
    stored, fixed = scans(raw), scans(cohort)
    tables = [row for name in ("train", "validation") for row in rows(raw / f"metadata/{name}_metadata.csv")]
    assert {row["RescaleIntercept"] for row in tables} == {"-1024", "-8192"}, "both kinds of scanner"
    for row in tables:
        volume = row["VolumeName"].removesuffix(".nii.gz")
        image = nib.load(stored[volume])
        assert np.array_equal(image.affine, np.eye(4))
        assert f"{volume[:5]}/" in str(stored[volume].as_posix())
        hu = voxels(stored[volume]) * float(row["RescaleSlope"]) + float(row["RescaleIntercept"])
        assert np.array_equal(hu, voxels(fixed[volume]))
        masks = [nib.load(read_truth(out).mask_path(volume)) for out in (raw, cohort)]
        assert np.array_equal(masks[0].affine, masks[1].affine)


def test_same_seed_gives_the_same_bytes_and_another_seed_does_not(tmp_path: Path) -> None:
    for folder, seed in (("a", 3), ("b", 3), ("c", 4)):
        write_ct_rate(tmp_path / folder, 3, seed, "tiny")
    a, b, c = (contents(tmp_path / folder) for folder in "abc")
    assert a == b
    assert (
        a["dataset/train_fixed/train_1/train_1_a/train_1_a_1.nii.gz"]
        != c["dataset/train_fixed/train_1/train_1_a/train_1_a_1.nii.gz"]
    )


def test_a_patient_does_not_depend_on_the_size_of_the_cohort(cohort: Path, tmp_path: Path) -> None:
    small = tmp_path / "small"
    write_ct_rate(small, 3, SEED, "tiny")
    for name, content in contents(small).items():
        if name.endswith(".nii.gz"):
            assert (cohort / name).read_bytes() == content
    big = read_truth(cohort)
    for volume in ("train_1_a_1", "train_2_a_1", "valid_1_a_1"):
        assert read_truth(small).of(volume) == big.of(volume) != ()


def test_an_interrupted_cohort_is_completed(tmp_path: Path) -> None:
    out = tmp_path / "cohort"
    write_ct_rate(out, 4, SEED, "tiny")
    whole = contents(out)
    untouched = out / "dataset/train_fixed/train_1/train_1_a/train_1_a_1.nii.gz"
    before = untouched.stat().st_mtime_ns
    for name in (
        "dataset/train_fixed/train_2/train_2_a/train_2_a_1.nii.gz",
        "truth/sentences.jsonl",
        "metadata/train_metadata.csv",
    ):
        (out / name).unlink()
    write_ct_rate(out, 4, SEED, "tiny")
    assert contents(out) == whole
    assert untouched.stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("patients", "seed", "size", "release", "word"),
    [
        (-1, 0, "tiny", "v2", "-1"),
        (0, 0, "tiny", "v2", "at least 1"),
        (3, -2, "tiny", "v2", "seed"),
        (3, 0, "huge", "v2", "huge"),
        (3, 0, "tiny", "v3", "v3"),
    ],
)
def test_an_impossible_request_is_refused(
    patients: int, seed: int, size: str, release: str, word: str
) -> None:
    with pytest.raises(SimcropError, match=word):
        check_request(Request("ct-rate", patients, seed, size, "real", release))


def test_a_folder_with_other_things_in_it_is_refused_and_left_alone(cohort: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(SimcropError, match="not an empty folder"):
        write_ct_rate(tmp_path, 1, 0, "tiny")
    assert contents(tmp_path) == {"mine.txt": b"keep"}
    with pytest.raises(SimcropError, match="another phantom"):
        write_ct_rate(cohort, 1, SEED, "tiny")


def test_a_missing_or_broken_truth_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SimcropError, match="not found"):
        read_truth(tmp_path)
    (tmp_path / "truth").mkdir()
    (tmp_path / "truth" / "sentences.jsonl").write_text('{"volume": "a"}\n')
    with pytest.raises(SimcropError, match="line 1"):
        read_truth(tmp_path)
