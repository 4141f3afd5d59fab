"""Masks and maps as files that lie over their scan: NIfTI, DICOM SEG."""
