"""`simcrop ground` over a folder: pairs of a table, reports of each, killed and continued, refused in part.

Axes: x, y, z with 29, 23, 17 voxels at 2.0, 2.5, 4.0 mm; places in RAS+ mm.
"""

import csv
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest

from simcrop.model import Model
from simcrop.tasks.grounding import jobs as task

Chests = dict[str, Callable[..., Path]]
NODULE, EFFUSION, HEART = "A nodule, of 5 mm.", "No effusion.", "The heart is normal."
JOBS = [
    ("a b/ct.nii.gz", NODULE),
    ("series", EFFUSION),
    ("torn", NODULE),
    ("a-b__ct", EFFUSION),
    ("nobody", HEART),
    ("series", NODULE),
]
DICOM = {"maps.pm.dcm", "regions.seg.dcm", "report.sr.dcm"}


@pytest.fixture
def jobs(tmp_path: Path) -> Path:
    with (tmp_path / "jobs.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("Scan", "Sentence"), *JOBS])
    return tmp_path / "jobs.csv"


def content(out: Path) -> dict[str, bytes]:
    """Of all that a job leaves; the times of day and how long it took are not its content."""
    found = {"results.csv": (out / "results.csv").read_bytes()}
    for path in sorted((out / "scans").rglob("*")):
        name = str(path.relative_to(out))
        if path.suffix in (".gz", ".png") or path.name in ("boxes.json", "scan.json"):
            found[name] = path.read_bytes()
        elif path.suffix == ".dcm":
            data = pydicom.dcmread(path)
            pixels = data.get("FloatPixelData", None) or data.get("PixelData", None) or b""
            found[name] = data.SOPInstanceUID.encode() + pixels
    return found


def results(out: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((out / "results.csv").read_text("utf-8").splitlines()))


def test_each_pair_of_the_table_is_sought_but_for_the_scan_that_cannot_be_read(
    simcrop: Callable, run: Path, scans: Path, jobs: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    ran = simcrop("ground", run, scans, "--jobs", jobs, "--out", out)
    assert ran.code == 1, ran
    assert "torn.nii.gz" in ran.err
    assert "jobs.csv, line 6" in ran.err
    assert "4 sentences in 2 scans" in ran.out
    names = ["metrics.json", "report.html", "results.csv", "run.json", "scans"]
    assert sorted(p.name for p in out.iterdir()) == names
    rows = results(out)
    assert [(row["scan"], row["number"], row["sentence"]) for row in rows] == [
        ("a-b__ct", "1", NODULE),
        ("a-b__ct", "2", EFFUSION),
        ("series", "1", EFFUSION),
        ("series", "2", NODULE),
    ]
    of_one = {"boxes.json", "metrics.json", "report.html", "scan.json"}
    of_one |= {f"sentence_0{i}.{ending}" for i in (1, 2) for ending in ("nii.gz", "png")}
    assert {p.name for p in (out / "scans/a-b__ct").iterdir()} == of_one
    assert {p.name for p in (out / "scans/series").iterdir()} == of_one | DICOM
    metrics = json.loads((out / "metrics.json").read_text())
    assert [one["id"] for one in metrics["refused"]] == ["line 6", "torn"]
    heat = nib.load(out / "scans/a-b__ct/sentence_01.nii.gz")
    assert np.nanmax(np.asarray(heat.dataobj)) == pytest.approx(float(rows[0]["similarity_max"]), abs=1e-6)
    found = pydicom.dcmread(out / "scans/series/maps.pm.dcm")
    frames = np.frombuffer(found.FloatPixelData, np.float32).reshape(2, -1, found.Rows, found.Columns)
    report = str(pydicom.dcmread(out / "scans/series/report.sr.dcm"))
    assert report.count("'DENIED'") == report.count("'AFFIRMED'") == 1  # of the effusion and the nodule
    for i, of_sentence in enumerate(sorted_by_channel(found, frames), start=1):
        nifti = np.asarray(nib.load(out / f"scans/series/sentence_0{i}.nii.gz").dataobj)
        np.testing.assert_allclose(of_sentence.transpose(2, 1, 0), np.nan_to_num(nifti, nan=-2), atol=1e-6)


def sorted_by_channel(found: pydicom.Dataset, frames: np.ndarray) -> list[np.ndarray]:
    """The frames of each sentence from low to high z, which is how the toy's slices are numbered."""
    flat = frames.reshape(-1, *frames.shape[2:])
    keys = [
        (
            item.RealWorldValueMappingSequence[0].LUTLabel,
            item.PlanePositionSequence[0].ImagePositionPatient[2],
        )
        for item in found.PerFrameFunctionalGroupsSequence
    ]
    order = sorted(range(len(keys)), key=keys.__getitem__)
    return [flat[order[: len(order) // 2]], flat[order[len(order) // 2 :]]]


def test_a_scan_alone_has_the_same_results_as_among_many(
    simcrop: Callable, run: Path, scans: Path, jobs: Path, tmp_path: Path
) -> None:
    simcrop("ground", run, scans, "--jobs", jobs, "--out", tmp_path / "many")
    ask = ("--sentence", EFFUSION, "--sentence", NODULE)
    ran = simcrop("ground", run, scans / "series", *ask, "--out", tmp_path / "one")
    assert (ran.code, ran.err) == (0, "")
    many = tmp_path / "many/scans/series"
    for name in ("sentence_01.nii.gz", "sentence_02.nii.gz"):
        one, among = (np.asarray(nib.load(folder / name).dataobj) for folder in (tmp_path / "one", many))
        np.testing.assert_allclose(one, among, atol=1e-5)
    assert {p.name for p in (tmp_path / "one").glob("*.dcm")} == DICOM


def test_a_patients_name_is_in_the_hospitals_own_files_and_nowhere_else(
    simcrop: Callable, run: Path, scans: Path, jobs: Path, tmp_path: Path
) -> None:
    ran = simcrop("ground", run, scans, "--jobs", jobs, "--out", tmp_path / "out")
    files = [p for p in (tmp_path / "out").rglob("*") if p.is_file()]
    assert {p.name for p in files if b"zebrafinch" in p.read_bytes().lower()} == DICOM
    said = (ran.out + ran.err + " ".join(map(str, files))).lower()
    assert not any(word in said for word in ("zebrafinch", "nodule", "effusion"))


@pytest.mark.parametrize("when", ["write_dicom", "write_results", "rename"])
def test_a_job_that_was_killed_goes_on_and_ends_the_same(
    simcrop: Callable,
    run: Path,
    scans: Path,
    jobs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    when: str,
) -> None:
    whole, out = tmp_path / "whole", tmp_path / "out"
    words = ("ground", run, scans, "--jobs", jobs, "--out")
    assert simcrop(*words, whole).code == 1

    def killed(of: Path, *rest: object) -> object:
        if "series" in str(of):
            raise KeyboardInterrupt
        return original(of, *rest)

    where, name = (Path, "rename") if when == "rename" else (task, when)
    original = getattr(where, name)
    with monkeypatch.context() as patched:
        patched.setattr(where, name, killed)
        ran = simcrop(*words, out)
        assert (ran.code, "--resume continues" in ran.err) == (130, True)
    assert [p.name for p in (out / "scans").iterdir()] == ["a-b__ct"]
    assert "--resume continues it" in simcrop(*words, out).refusal
    half = out / "scans/.series.unfinished"  # of a process that had no time to clear away
    half.mkdir()
    (half / "sentence_01.nii.gz").write_bytes(b"half")
    done = (out / "scans/a-b__ct/scan.json").stat().st_mtime_ns
    assert simcrop(*words, out, "--resume").code == 1
    assert (out / "scans/a-b__ct/scan.json").stat().st_mtime_ns == done
    assert content(out) == content(whole)
    asked: list[object] = []
    monkeypatch.setattr(task, "ground_one", asked.append)
    assert not half.exists()
    assert asked == []


def test_a_scan_is_encoded_once_and_a_sentence_once(
    simcrop: Callable,
    run: Path,
    scans: Path,
    jobs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read, seen = Counter[str](), []
    encode, look = Model.encode, Model.features_of

    def counted(model: Model, sentences: list[str]) -> object:
        read.update(sentences)
        return encode(model, sentences)

    def looked(model: Model, volumes: object) -> object:
        seen.append(volumes)
        return look(model, volumes)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(Model, "encode", counted)
    monkeypatch.setattr(Model, "features_of", looked)
    assert simcrop("ground", run, scans, "--jobs", jobs, "--out", tmp_path / "out").code == 1
    assert read == {NODULE: 1, EFFUSION: 1}
    assert len(seen) == 2


def test_a_job_that_is_asked_for_more_does_only_the_rest(
    simcrop: Callable, run: Path, scans: Path, jobs: Path, tmp_path: Path
) -> None:
    words = ("ground", run, scans, "--jobs", jobs, "--out", tmp_path / "out")
    simcrop(*words)
    marks = {name: tmp_path / f"out/scans/{name}/scan.json" for name in ("a-b__ct", "series")}
    before = {name: path.stat().st_mtime_ns for name, path in marks.items()}
    with jobs.open("a", newline="") as file:
        csv.writer(file).writerow(("series", HEART))
    assert simcrop(*words, "--resume").code == 1
    after = {name: path.stat().st_mtime_ns for name, path in marks.items()}
    assert after["a-b__ct"] == before["a-b__ct"]
    assert after["series"] > before["series"]
    assert [row["sentence"] for row in results(tmp_path / "out")].count(HEART) == 1
    assert "top_k" in simcrop(*words, "--resume", "--top-k", 3).refusal


def test_each_scan_is_asked_for_its_own_report(
    simcrop: Callable, run: Path, scans: Path, tmp_path: Path
) -> None:
    (scans / "torn.nii.gz").unlink()
    (scans / "a b/ct.txt").write_text("Findings: A nodule. Clear lungs.\nImpression: Benign.")
    words = ("ground", run, scans, "--report")
    ran = simcrop(*words, scans, "--out", tmp_path / "beside")
    assert ran.code == 1
    assert "series: no sentence to look for" in ran.err
    assert [row["sentence"] for row in results(tmp_path / "beside")] == ["A nodule.", "Clear lungs."]
    table = tmp_path / "reports.csv"
    table.write_text("id,findings\nseries,No effusion. A nodule.\na-b__ct,The heart is large.\n")
    assert simcrop(*words, table, "--out", tmp_path / "table").code == 0
    assert [(row["scan"], row["sentence"]) for row in results(tmp_path / "table")] == [
        ("a-b__ct", "The heart is large."),
        ("series", "No effusion."),
        ("series", "A nodule."),
    ]
    ran = simcrop(*words, scans / "a b/ct.txt", "--out", tmp_path / "one")
    assert "is one report" in ran.refusal


def test_the_same_sentence_can_be_sought_in_every_scan(
    simcrop: Callable, run: Path, scans: Path, tmp_path: Path
) -> None:
    (scans / "torn.nii.gz").unlink()
    assert simcrop("ground", run, scans, "--sentence", NODULE, "--out", tmp_path / "out").code == 0
    assert [row["scan"] for row in results(tmp_path / "out")] == ["a-b__ct", "series"]


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("ct,sentence\na,b\n", "columns scan and sentence"),
        ("scan,sentence\n", "no row"),
        ("scan,sentence\nseries,\n", "line 2"),
        ("scan,sentence\nseries,A nodule, of 5 mm.\n", "line 2"),
        ("scan,sentence\nnobody,Quetzal.\n", "line 2"),
    ],
)
def test_a_table_that_asks_nothing_is_one_line_that_repeats_none_of_it(
    simcrop: Callable, run: Path, scans: Path, tmp_path: Path, table: str, words: str
) -> None:
    (tmp_path / "jobs.csv").write_text(table)
    ran = simcrop("ground", run, scans, "--jobs", tmp_path / "jobs.csv", "--out", tmp_path / "out")
    assert words in ran.refusal
    assert not any(word in ran.refusal for word in ("Quetzal", "nodule", "nobody"))
    assert not (tmp_path / "out").exists()


def test_a_name_that_two_scans_have_is_refused_and_not_guessed(
    simcrop: Callable, run: Path, scans: Path, tmp_path: Path, chests: Chests
) -> None:
    chests["nifti"](scans / "c" / "ct.nii.gz", chests["hu"](4))
    (tmp_path / "jobs.csv").write_text("scan,sentence\nct.nii.gz,A nodule.\nc/ct.nii.gz,A nodule.\n")
    ran = simcrop("ground", run, scans, "--jobs", tmp_path / "jobs.csv", "--out", tmp_path / "out")
    assert (ran.code, "line 2" in ran.err) == (1, True)
    assert [row["scan"] for row in results(tmp_path / "out")] == ["c__ct"]


def test_results_are_there_until_the_first_of_those_that_replace_them(
    simcrop: Callable, run: Path, scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    words = ("ground", run, scans, "--sentence", NODULE, "--out", out)
    assert simcrop(*words).code == 1
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    projected = Model.projected
    with monkeypatch.context() as patched:
        patched.setattr(Model, "projected", lambda self, features: projected(self, features) * np.nan)
        ran = simcrop(*words, "--overwrite")
    assert ran.code == 2
    assert "ct.nii.gz: its features are no numbers" in ran.err
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    assert simcrop(*words, "--overwrite", "--top-k", 3).code == 1
    assert {path.name for path in out.iterdir()} == {path.relative_to(out).parts[0] for path in before}
