"""Images over the DICOM network and over DICOMweb."""
