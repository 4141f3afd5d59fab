"""Where sentences are seen as a binary DICOM SEG: a segment per sentence, which may overlap.

Axes: frames `(z, rows, columns, sentence)`, z one slice per header; 1 inside, 0 outside.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import simcrop
from simcrop.data.writers.coded import Concept
from simcrop.data.writers.dicom_seg import item, quiet
from simcrop.data.writers.dicom_text import (
    DESCRIPTIONS,
    LONGEST_LABEL,
    LONGEST_TEXT,
    Source,
    plain,
    sentence_code,
)

CATEGORY = Concept("309825002", "Spatial and Relational Concept")


@dataclass(frozen=True, eq=False)
class Regions:
    """The file, and highdicom's Segmentation, to which a report refers."""

    content: bytes
    made: Any


def as_regions(frames: np.ndarray, sentences: Sequence[str], source: Source, number: int = 1) -> Regions:
    """Instance `number` of its series; segment `i + 1` is that of `sentences[i]`. Frames without a voxel are left out;
    where no sentence has any, one empty slice stands for all.
    """
    import highdicom as hd

    positions = None
    if not frames.any():
        frames = frames[:1]
        positions = [hd.PlanePositionSequence("PATIENT", source.headers[0].ImagePositionPatient)]
    with quiet():
        made = hd.seg.Segmentation(
            source_images=list(source.headers),
            pixel_array=frames,
            segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
            segment_descriptions=[
                described(i, sentence, source) for i, sentence in enumerate(sentences, start=1)
            ],
            content_label="REGIONS",
            content_description=DESCRIPTIONS["regions"],
            plane_positions=positions,
            **source.made("regions", number, np.packbits(frames).tobytes()),
        )
    content = io.BytesIO()
    made.save_as(content)
    return Regions(content.getvalue(), made)


def described(number: int, sentence: str, source: Source) -> Any:
    """A region that a network chose, and the sentence that it was asked for."""
    import highdicom as hd
    from pydicom.sr.codedict import codes

    made = hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=plain(sentence, LONGEST_LABEL),
        segmented_property_category=item(CATEGORY),
        segmented_property_type=item(sentence_code(sentence)),
        algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=hd.AlgorithmIdentificationSequence(
            name="simcrop",
            family=codes.cid7162.ArtificialIntelligence,
            version=simcrop.__version__,
            parameters={"model": source.model},
        ),
        tracking_uid=source.uid("sentence", sentence),
        tracking_id=plain(sentence, LONGEST_TEXT),
    )
    made.SegmentDescription = plain(sentence, LONGEST_TEXT)
    return made
