"""DICOM: elements, header, pixels and series, and what is true of DICOM alone."""
