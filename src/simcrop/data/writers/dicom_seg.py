"""A mask as DICOM SEG: a binary segment per class, on the frame of reference of its CT series, whose images it names.

Axes: labels `(x, y, z)` on the grid of the scan, as the reader gives it: x along a row, y down the rows, z one slice
per header; frames of the file are `(rows, columns)`. Patient and study are copied from the series, as DICOM requires.
"""

import io
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_OID, uuid5

import numpy as np
from einops import rearrange
from pydicom.dataset import Dataset

import simcrop
from simcrop.data.readers.dicom import lenient
from simcrop.data.writers.coded import Coded, Concept, coded
from simcrop.errors import SimcropError

if TYPE_CHECKING:
    from highdicom.seg import Segmentation, SegmentDescription

REASON = "no-dicom-seg"
SAME = ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")
"""What every slice states, and all of them the same."""
OWN = ("SOPInstanceUID", "SOPClassUID")
MAY_BE_EMPTY = (
    *("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber"),
    *("StudyID", "StudyDate", "StudyTime", "ReferringPhysicianName"),
)
"""What DICOM wants of a patient and a study, if only to say that nobody knows."""
REFERRING = ("ReferencedStudySequence", "ReferencedPatientSequence")
SERIES_NUMBER = 9001  # beyond those of scanners
DESCRIPTION = "Segmentation by simcrop, not for diagnosis"
# What highdicom and pydicom raise for a header that breaks DICOM's rules.
UNUSABLE = (ValueError, TypeError, AttributeError, KeyError, IndexError, OverflowError)


def check_highdicom() -> None:
    """Raises SimcropError where the library that writes DICOM SEG is not installed."""
    try:
        import highdicom  # noqa: F401  # pyright: ignore[reportUnusedImport]
    except ImportError as error:
        raise SimcropError(
            "missing-package", 'DICOM SEG needs highdicom: pip install "simcrop[dicom]"'
        ) from error


def as_dicom_seg(labels: np.ndarray, names: Sequence[str], headers: Sequence[Dataset], model: str) -> bytes:
    """The file; label `i + 1` is `names[i]`. `model`: a digest, for what made it. The same input gets the same UIDs.

    Classes without a voxel are described, and have no frame; of a mask without any, one empty slice stands for all.
    """
    check_highdicom()
    refuse_unstated(headers)
    frames = rearrange(labels, "x y z -> z y x")
    if frames.shape != (len(headers), int(headers[0].Rows), int(headers[0].Columns)):
        raise SimcropError(REASON, "the mask does not have the grid of the DICOM series")
    content = io.BytesIO()
    try:
        with lenient(), quiet():
            made = segmentation(frames, names, completed(headers), model)
            made.save_as(content)
    except UNUSABLE as error:
        raise SimcropError(REASON, "the headers of the DICOM series hold what no SEG may refer to") from error
    return content.getvalue()


def refuse_unstated(headers: Sequence[Dataset]) -> None:
    """What a SEG refers to has to be there. Values are compared and never shown."""
    stated = {key: [str(header.get(key, None) or "") for header in headers] for key in (*SAME, *OWN)}
    for key, values in stated.items():
        if not all(values):
            raise SimcropError(REASON, f"slices of the DICOM series state no {key}, to which a SEG refers")
    for key in SAME:
        if len(set(stated[key])) > 1:
            raise SimcropError(REASON, f"slices of one DICOM series differ in {key}, to which a SEG refers")
    if len(set(stated["SOPInstanceUID"])) < len(headers):
        raise SimcropError(
            REASON, "slices of the DICOM series share a SOPInstanceUID, by which a SEG tells them"
        )


def completed(headers: Sequence[Dataset]) -> list[Dataset]:
    """The same with an empty value for what may be unknown and is not there, and with a thickness."""
    ends = [np.array(header.ImagePositionPatient, np.float64) for header in (headers[0], headers[-1])]
    step = round(float(np.linalg.norm(ends[1] - ends[0])) / (len(headers) - 1), 6)
    for header in headers:
        for keyword in MAY_BE_EMPTY:
            if keyword not in header:
                setattr(header, keyword, "")
        for (
            keyword
        ) in REFERRING:  # copied from it, and of no use to anybody where de-identification emptied it
            if any(not refers(entry) for entry in header.get(keyword, None) or []):
                delattr(header, keyword)
        header.SliceThickness = header.get("SliceThickness", None) or step
        header.SpacingBetweenSlices = step  # by their places: what a header says of it may be wrong
    return list(headers)


def refers(entry: Dataset) -> bool:
    """Whether an item of a sequence says to which instance it refers."""
    return all(entry.get(key, None) for key in ("ReferencedSOPClassUID", "ReferencedSOPInstanceUID"))


def segmentation(
    frames: np.ndarray, names: Sequence[str], images: list[Dataset], model: str
) -> "Segmentation":
    """As highdicom makes it; frames without a voxel of their class are left out."""
    import highdicom as hd

    first, positions = images[0], None
    if not frames.any():
        frames = frames[:1]
        positions = [hd.PlanePositionSequence("PATIENT", first.ImagePositionPatient)]
    pixels = np.ascontiguousarray(frames, np.uint8 if len(names) < 256 else np.uint16)
    digest = sha256(pixels.tobytes()).hexdigest()
    return hd.seg.Segmentation(
        source_images=images,
        pixel_array=pixels,
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[described(i, name, model) for i, name in enumerate(names, start=1)],
        series_instance_uid=uid_of("series", first.SeriesInstanceUID, model),
        series_number=SERIES_NUMBER,
        sop_instance_uid=uid_of("instance", first.SeriesInstanceUID, model, digest),
        instance_number=1,
        manufacturer="simcrop",
        manufacturer_model_name="simcrop",
        software_versions=simcrop.__version__,
        device_serial_number=model[:16],
        content_label="SEGMENTATION",
        content_description=DESCRIPTION,
        series_description=DESCRIPTION,
        plane_positions=positions,
    )


def described(number: int, name: str, model: str) -> "SegmentDescription":
    """One segment: what it is in codes, and that a network drew it."""
    import highdicom as hd
    from pydicom.sr.codedict import codes

    code = coded(name)
    description = hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=name[:64],
        segmented_property_category=item(code.category),
        segmented_property_type=item(code.type),
        algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=hd.AlgorithmIdentificationSequence(
            name="simcrop",
            family=codes.cid7162.ArtificialIntelligence,
            version=simcrop.__version__,
            parameters={"model": model},
        ),
        anatomic_regions=several(code.regions),
        primary_anatomic_structures=several(code.parts),
    )
    return with_side(description, code)


def with_side(description: "SegmentDescription", code: Coded) -> "SegmentDescription":
    """Laterality stands within the type, as its modifier."""
    if code.side is not None:
        of: Any = description.SegmentedPropertyTypeCodeSequence[0]
        of.SegmentedPropertyTypeModifierCodeSequence = [item(code.side)]
    return description


def several(concepts: tuple[Concept, ...]) -> list[Any] | None:
    return [item(concept) for concept in concepts] or None


def item(concept: Concept) -> Any:
    """As highdicom has it."""
    from highdicom.sr import CodedConcept

    return CodedConcept(concept.value, concept.scheme, concept.meaning)


def uid_of(*words: str) -> str:
    """Derived from what it stands for, so that a run that was done twice is one to whoever keeps it."""
    return f"2.25.{uuid5(NAMESPACE_OID, ' '.join(('simcrop', *words))).int}"


@contextmanager
def quiet() -> Iterator[None]:
    """highdicom's log says that a mask has no voxel, which is no news."""
    log = logging.getLogger("highdicom")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(before)
