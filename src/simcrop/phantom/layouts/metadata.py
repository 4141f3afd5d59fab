"""One row of CT-RATE's metadata table: what the DICOM headers of a scan would have said.

Lengths in mm. Positions follow DICOM (LPS: x to the left, y to the back, z up), unlike the rest of the phantom.
"""

from simcrop.phantom.grid import Grid
from simcrop.phantom.patient import Patient

METADATA_COLUMNS = (
    "VolumeName", "Manufacturer", "SeriesDescription", "ManufacturerModelName", "PatientSex", "PatientAge",
    "ReconstructionDiameter", "DistanceSourceToDetector", "DistanceSourceToPatient", "GantryDetectorTilt",
    "TableHeight", "RotationDirection", "ExposureTime", "XRayTubeCurrent", "Exposure", "FilterType",
    "GeneratorPower", "FocalSpots", "ConvolutionKernel", "PatientPosition", "RevolutionTime",
    "SingleCollimationWidth", "TotalCollimationWidth", "TableSpeed", "TableFeedPerRotation", "SpiralPitchFactor",
    "DataCollectionCenterPatient", "ReconstructionTargetCenterPatient", "ExposureModulationType", "CTDIvol",
    "ImagePositionPatient", "ImageOrientationPatient", "SliceLocation", "SamplesPerPixel",
    "PhotometricInterpretation", "Rows", "Columns", "XYSpacing", "RescaleIntercept", "RescaleSlope", "RescaleType",
    "NumberofSlices", "ZSpacing", "StudyDate",
)  # fmt: skip


def metadata_row(patient: Patient, file_name: str, grid: Grid) -> dict[str, str]:
    """The columns a phantom can fill; the writer leaves the others empty, as they often are."""
    right, front, low = (round(mm, 4) for mm in grid.first_mm)
    return {
        "VolumeName": file_name,
        "Manufacturer": "simcrop phantom",
        "GantryDetectorTilt": "0",
        "PatientPosition": "HFS",
        "ReconstructionDiameter": str(round(grid.shape[0] * grid.spacing_mm[0], 1)),
        "ImagePositionPatient": f"[{-right}, {-front}, {low}]",
        "ImageOrientationPatient": "[1, 0, 0, 0, 1, 0]",
        "SliceLocation": str(low),
        "SamplesPerPixel": "1",
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": str(grid.shape[1]),
        "Columns": str(grid.shape[0]),
        "XYSpacing": f"[{grid.spacing_mm[0]}, {grid.spacing_mm[1]}]",
        "RescaleIntercept": str(patient.intercept),
        "RescaleSlope": "1",
        "RescaleType": "HU",
        "NumberofSlices": str(grid.shape[2]),
        "ZSpacing": str(grid.spacing_mm[2]),
    }
