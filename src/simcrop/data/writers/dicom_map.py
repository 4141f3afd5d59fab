"""Heat maps as a DICOM Parametric Map: float32, a channel per sentence, on the very grid of the series that was read.

Axes: frames `(z, rows, columns, sentence)`, z one slice per header. Cosine similarity in [-1, 1]; in the file -2 where
the model did not look.
"""

import io
from collections.abc import Sequence

import numpy as np

from simcrop.data.writers.dicom_seg import quiet
from simcrop.data.writers.dicom_text import DESCRIPTIONS, LONGEST_LABEL, Source, plain

NOWHERE = -2.0  # no cosine; NaN would spoil the scale of viewers that look for the least value


def as_parametric_map(
    frames: np.ndarray, sentences: Sequence[str], source: Source, number: int = 1, first: int = 1
) -> bytes:
    """The file, instance `number` of its series; `first`: the number of its first sentence among all. `frames`:
    float32, NaN where the model did not look; written over.

    No frame is left out, not even beyond what the model saw: viewers lay a map over a series slice by slice.
    """
    import highdicom as hd
    from pydicom.sr.codedict import codes

    low, high = float(np.nanmin(frames)), float(np.nanmax(frames))
    np.clip(frames, -1, 1, out=frames)  # a cosine may be off by rounding
    np.nan_to_num(frames, copy=False, nan=NOWHERE)
    words = zip(range(first, first + len(sentences)), sentences, strict=True)
    mappings = [
        [
            hd.pm.RealWorldValueMapping(
                lut_label=f"sentence {i}",
                lut_explanation=plain(sentence, LONGEST_LABEL),
                unit=codes.UCUM.NoUnits,
                value_range=(NOWHERE, 1.0),
                slope=1.0,
                intercept=0.0,
            )
        ]
        for i, sentence in words
    ]
    window = hd.VOILUTTransformation(
        window_center=(low + high) / 2,
        window_width=max(high - low, 0.01),
        voi_lut_function=hd.VOILUTFunctionValues.LINEAR_EXACT,  # the others want widths of at least 1
    )
    with quiet():
        made = hd.pm.ParametricMap(
            source_images=list(source.headers),
            pixel_array=frames,
            contains_recognizable_visual_features=False,
            real_world_value_mappings=mappings,
            voi_lut_transformations=[window],
            content_label="SIMILARITY",
            content_description=DESCRIPTIONS["map"],
            **source.made("map", number, frames.tobytes()),
        )
    made.FloatPixelPaddingValue = made.FloatPixelPaddingRangeLimit = NOWHERE
    made.Laterality = ""  # the chest is no paired organ, but DICOM wants it said where no frame has a side
    content = io.BytesIO()
    made.save_as(content)
    return content.getvalue()
