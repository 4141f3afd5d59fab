"""Sentences and where they are seen as a DICOM report, TID 1500: scores, boxes, and the segment that shows each.

Boxes come in RAS+ mm; the report counts as DICOM does, in LPS mm: x to the left, y to the back, z to the head.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydicom.dataset import Dataset

import simcrop
from simcrop.data.writers.coded import PRIVATE, Concept
from simcrop.data.writers.dicom_regions import Regions
from simcrop.data.writers.dicom_seg import item, quiet
from simcrop.data.writers.dicom_text import LONGEST_TEXT, Source, plain, sentence_code

LPS = np.array([-1.0, -1.0, 1.0])
SCORE = Concept("SIMILARITY", "Largest cosine similarity", PRIVATE)
LEAST = Concept("LEAST-SIMILARITY", "Least cosine similarity of the region", PRIVATE)
DIRECTIONS = ("to the left", "to the back", "to the head")
CENTRES = tuple(
    Concept(f"BOX-CENTRE-{axis}", f"Centre of the box, {axis.lower()}, {way}", PRIVATE)
    for axis, way in zip("XYZ", DIRECTIONS, strict=True)
)
SIZES = tuple(Concept(f"BOX-SIZE-{axis}", f"Size of the box along {axis.lower()}", PRIVATE) for axis in "XYZ")
VOLUME = Concept("118565006", "Volume")
# What a sentence says is no statement of ours about the patient, as DICOM's own codes for present and absent would be.
MARK = Concept("SENTENCE-MARK", "What the sentence says", PRIVATE)
MARKED = {
    "affirmed": Concept("AFFIRMED", "Something is there", PRIVATE),
    "denied": Concept("DENIED", "A finding is absent; the region is where it would be sought", PRIVATE),
    "normal": Concept("NORMAL", "Nothing abnormal; the region shows no finding", PRIVATE),
}


@dataclass(frozen=True, eq=False)
class Shown:
    """One sentence: what it says, one of `MARKED`; its best similarity, the least one of its region, the box of its
    nearest patch `(2, 3)` in RAS+ mm, the region's volume in ml, and the segment that shows it, counted from 1.
    """

    sentence: str
    mark: str
    score: float
    least: float
    box_mm: np.ndarray
    volume_ml: float
    regions: Regions
    segment: int


def as_report(shown: Sequence[Shown], source: Source) -> bytes:
    """The file. In its library are the images through the middles of the boxes, with their frame of reference; of all
    others the segments tell.
    """
    import highdicom as hd
    from pydicom.sr.codedict import codes

    device = hd.sr.DeviceObserverIdentifyingAttributes(
        uid=source.uid("device"),
        name="simcrop",
        manufacturer_name="simcrop",
        model_name="simcrop",
        serial_number=source.model[:16],
    )
    observer = hd.sr.ObserverContext(codes.DCM.Device, device)
    report = hd.sr.MeasurementReport(
        observation_context=hd.sr.ObservationContext(observer_device_context=observer),
        procedure_reported=codes.LN.CTUnspecifiedBodyRegion,
        imaging_measurements=[group_of(one, source) for one in shown],
        referenced_images=images_at(shown, source.headers),
    )
    content = "\n".join(
        f"{one.sentence} {one.mark} {one.score} {one.box_mm.tolist()} {one.volume_ml}" for one in shown
    )
    made_by = source.made("report", 1, content.encode())
    segs = list({id(one.regions): one.regions.made for one in shown}.values())
    with quiet():
        made = hd.sr.ComprehensiveSR(
            evidence=[*images_at(shown, source.headers), *segs], content=report, is_complete=True, **made_by
        )
    file = io.BytesIO()
    made.save_as(file)
    return file.getvalue()


def images_at(shown: Sequence[Shown], headers: Sequence[Dataset]) -> list[Dataset]:
    """The slice nearest to the middle of each box, each once, in the order of the series."""
    row, column = np.reshape([float(n) for n in headers[0].ImageOrientationPatient], (2, 3))
    normal = np.cross(row, column)
    along = np.array([header.ImagePositionPatient for header in headers], np.float64) @ normal
    nearest = {int(np.abs(along - (LPS * one.box_mm.mean(0)) @ normal).argmin()) for one in shown}
    return [headers[i] for i in sorted(nearest)]


def group_of(one: Shown, source: Source) -> Any:
    """The measurements of one sentence, about its segment."""
    import highdicom as hd

    seg = one.regions.made
    segment = hd.sr.ReferencedSegment(
        seg.SOPClassUID,
        seg.SOPInstanceUID,
        one.segment,
        source_series=hd.sr.SourceSeriesForSegmentation(source.headers[0].SeriesInstanceUID),
    )
    return hd.sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=hd.sr.TrackingIdentifier(
            source.uid("sentence", one.sentence), plain(one.sentence, LONGEST_TEXT)
        ),
        referenced_segment=segment,
        finding_type=item(sentence_code(one.sentence)),
        algorithm_id=hd.sr.AlgorithmIdentification("simcrop", simcrop.__version__, [f"model={source.model}"]),
        measurements=measurements_of(one),
        qualitative_evaluations=[hd.sr.QualitativeEvaluation(item(MARK), item(MARKED[one.mark]))],
    )


def measurements_of(one: Shown) -> list[Any]:
    from highdicom.sr import CodedConcept
    from pydicom.sr.codedict import codes

    millilitre = CodedConcept("ml", "UCUM", "milliliter")
    centre, size = LPS * one.box_mm.mean(0), one.box_mm[1] - one.box_mm[0]
    return [
        number(SCORE, one.score, codes.UCUM.NoUnits, 6),
        number(LEAST, one.least, codes.UCUM.NoUnits, 6),
        *(number(of, mm, codes.UCUM.Millimeter, 3) for of, mm in zip(CENTRES, centre.tolist(), strict=True)),
        *(number(of, mm, codes.UCUM.Millimeter, 3) for of, mm in zip(SIZES, size.tolist(), strict=True)),
        number(VOLUME, one.volume_ml, millilitre, 4),
    ]


def number(of: Concept, value: float, unit: Any, digits: int) -> Any:
    import highdicom as hd

    return hd.sr.Measurement(name=item(of), value=round(float(value), digits), unit=unit)
