"""Whether a cohort is stored as a network reads it. Spacings in mm: right, front, up."""

import numpy as np

from simcrop.data.preprocess import InputSpec
from simcrop.data.store.cohort import Cohort


def resampled_words(cohort: Cohort, spec: InputSpec) -> str:
    """What is done where it is not, and what spares it; nothing where it is."""
    if np.allclose(cohort.spacing_mm, spec.spacing_mm, rtol=1e-4):
        return ""
    stored, wanted = (
        " x ".join(f"{mm:g}" for mm in spacing) for spacing in (cohort.spacing_mm, spec.spacing_mm)
    )
    coarser = any(has > asked * 1.0001 for has, asked in zip(cohort.spacing_mm, spec.spacing_mm, strict=True))
    lost = ", and what is finer is lost" if coarser else ""
    return (
        f"{cohort.path} is stored at {stored} mm and read at {wanted}: every scan is resampled each time{lost}; "
        f"simcrop ingest --spacing {','.join(f'{mm:g}' for mm in spec.spacing_mm)} stores it as it is read"
    )
