"""Images from and to a PACS, over the DICOM network (C-STORE) and over DICOMweb."""
