"""What DICOM calls the classes of a segmentation, as YAML."""
