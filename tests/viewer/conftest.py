"""A tiny cohort with reports and masks, a small model, and the viewer that shows both, asked without a network.

Axes: x, y, z with 29, 23, 17 voxels at 2.0, 2.5, 4.0 mm.
"""

import io
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid
from starlette.testclient import TestClient

SECRET = "zebrafinchitis"  # a word of a report that must not be seen anywhere but in an answer
HOST = "http://127.0.0.1:8765"
REPORTS = (
    f"There is a nodule in the left lung. No effusion. The {SECRET} is unchanged.",
    "No nodule. The heart is normal.",
    "Effusion on the right.",
    "Consolidation in the left lung.",
)


@pytest.fixture(scope="session")
def raw(
    scan: Callable[..., Any], lungs: Any, save: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Four scans of a hospital; the first two have masks. Nobody may change it."""
    folder = tmp_path_factory.mktemp("viewed") / "raw"
    rows = ["id,findings,impression,split,patient,label:Nodule"]
    for i, report in enumerate(REPORTS):
        save(folder / f"ct{i}.nii.gz", scan(i))
        if i < 2:
            save(folder / f"ct{i}_mask.nii.gz", lungs)
        rows.append(f'ct{i},"{report}",Follow up.,{"train" if i < 2 else "valid"},p{i},{int(i == 0)}')
    (folder / "reports.csv").write_text("\n".join(rows) + "\n")
    (folder / "classes.json").write_text('{"1": "right lung", "2": "left lung"}')
    return folder


@pytest.fixture(scope="session")
def cohort(raw: Path) -> Path:
    """The same, ingested."""
    from simcrop.data.ingest import ingest

    ingest(raw, "folder", raw.parent / "cohort", (2.0, 2.5, 4.0))
    return raw.parent / "cohort"


@pytest.fixture(scope="session")
def model(small_run: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """6 x 6 x 4 patches of 4 x 4 x 4 voxels. Nobody may change it."""
    size = {"spacing_mm": [2.0, 2.5, 4.0], "shape": [24, 24, 16], "patch": [4, 4, 4]}
    return small_run(tmp_path_factory.mktemp("viewed-model") / "run", input=size)


@dataclass(frozen=True)
class Viewer:
    """A viewer and who asks it; nothing goes over a network."""

    view: Any
    client: TestClient

    def key(self, words: str = "") -> str:
        """Of the first study with these words."""
        return self.client.post("/api/search", json={"words": words}).json()["studies"][0]["key"]

    def ended(self, job: str) -> dict[str, Any]:
        """What became of a job."""
        until = time.monotonic() + 60
        while time.monotonic() < until:
            state = self.client.get(f"/api/jobs/{job}").json()
            if state["state"] not in ("waiting", "running"):
                return state
            time.sleep(0.02)
        raise AssertionError("the job does not end")

    def done(self, path: str, **asked: Any) -> dict[str, Any]:
        """The end of the job that a POST begins."""
        begun = self.client.post(path, **asked)
        assert begun.status_code == 202, begun.text
        return self.ended(begun.json()["job"])


@pytest.fixture(scope="session")
def viewing(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Viewer]:
    """Opens a viewer; `limits`: those that are other than usual."""

    def start(
        place: Path,
        model: Path | None = None,
        host: str = "127.0.0.1",
        token: str | None = None,
        report: Path | None = None,
        root: Path | None = None,
        **limits: Any,
    ) -> Viewer:
        from simcrop.viewer.app import application
        from simcrop.viewer.guards import Door
        from simcrop.viewer.limits import Limits
        from simcrop.viewer.view import open_view

        bounds = replace(Limits(), **limits)
        folder = tmp_path_factory.mktemp("viewer")
        view = open_view(place, None if model is None else str(model), report, folder, root, bounds)
        app = application(view, Door(host, 8765, token))
        return Viewer(
            view, TestClient(app, base_url=HOST, headers={"X-Simcrop": "1"}, follow_redirects=False)
        )

    return start


@pytest.fixture(scope="session")
def viewer(cohort: Path, model: Path, viewing: Callable[..., Viewer]) -> Iterator[Viewer]:
    """One of the cohort with the model. Tests add uploads to it and change nothing else."""
    made = viewing(cohort, model)
    yield made
    made.view.stop()


@pytest.fixture(scope="session")
def slices(scan: Callable[..., Any]) -> list[bytes]:
    """One CT series, a file per slice, with all that results in DICOM refer to."""
    hu, made = scan(7), []
    series, study, frame = generate_uid(), generate_uid(), generate_uid()
    for z in range(hu.shape[2]):
        meta = pydicom.dataset.FileMetaDataset()
        meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, CTImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid()
        data = pydicom.FileDataset("slice", {}, file_meta=meta, preamble=b"\0" * 128)
        data.SOPClassUID, data.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
        data.PatientName, data.PatientID, data.Modality = "Toy^Chest", "Toy-ID", "CT"
        data.SeriesInstanceUID, data.StudyInstanceUID, data.InstanceNumber = series, study, z + 1
        data.FrameOfReferenceUID, data.SeriesNumber = frame, 1
        data.ImageOrientationPatient, data.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0, 4 * z]
        data.PixelSpacing, data.Columns, data.Rows = [2.5, 2.0], hu.shape[0], hu.shape[1]
        data.SliceThickness = 4
        data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
        data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 16, 15, 1
        data.RescaleSlope, data.RescaleIntercept = 1, 0
        data.PixelData = np.ascontiguousarray(hu[:, :, z].T).tobytes()
        content = io.BytesIO()
        data.save_as(content, enforce_file_format=True)
        made.append(content.getvalue())
    return made
