"""Every reason for which a scan is refused, in one place: the code that scripts count, and what it means.

No axes or units. Readers, `hounsfield` and `volume` raise `SimcropError` with these codes only.
"""

SCAN_REASONS: dict[str, str] = {
    # the file
    "missing-file": "the path, or a data file that a header names, does not exist",
    "empty-file": "the file has no bytes",
    "truncated-file": "the file ends before the voxels that its header promises",
    "corrupt-file": "the compressed data or its checksum is wrong",
    "unreadable": "not the format that its name says, or the system refuses to open it",
    "unknown-format": "no reader for this kind of file",
    "absurd-size": "the header promises more voxels or bytes than any scan has",
    "unsafe-path": "an archive member or a data file points outside its own folder",
    "no-scan": "a folder or archive without a CT image inside",
    # the numbers
    "not-3d": "fewer or more than three axes, or a single slice",
    "not-scalar": "colour, complex or other numbers that are not one value per voxel",
    "not-finite": "NaN or infinite voxels",
    "constant": "every voxel holds the same number",
    "not-ct": "another modality, a label mask, or numbers that no known rescale turns into Hounsfield units",
    "not-monochrome2": "a DICOM image whose bright and dark are inverted, or in colour",
    "bad-rescale": "a DICOM rescale that is no number",
    "mixed-numbers": "slices of one series of which some state a rescale and others none, or that contradict",
    # the place in the patient
    "singular-affine": "the affine cannot place voxels in space",
    "absurd-spacing": "voxels too small or too large for any scanner, or a scan larger than a body",
    "contradicting-geometry": "a header that states the size of its voxels twice and differently",
    "missing-geometry": "DICOM slices without position, orientation or pixel spacing",
    "mixed-geometry": "slices of one series that differ in size, spacing or orientation",
    "bad-orientation": "row and column directions that are not two perpendicular unit vectors",
    "several-series": "CT series of several patients or examinations together, or alike ones that no rule chooses from",
    "duplicate-slices": "two slices at one position",
    "missing-slices": "a gap where slices are absent",
    "irregular-slices": "slice distances that are not equal",
    "tilted-slices": "slices that shift sideways from one to the next, or axes that shear (gantry tilt)",
    "multi-frame": "one DICOM file with many frames",
}

MASK_REASONS: dict[str, str] = {
    "mask-numbers": "labels that are no whole numbers from 0 to 32767",
    "mask-grid": "a mask with other voxels than its scan",
    "mask-place": "a mask that lies elsewhere than its scan",
    "mask-empty": "a mask that marks nothing",
    "mask-values": "numbers that are no declared class",
    "mask-sides": "a left side that lies to the right of the right one",
    "mask-channels": "channels that overlap, or are not as many as the classes",
}
"""Why a mask is refused beside those: its scan is taken without it."""
