"""De-identification of files that are handed on: DICOM images, their pixels, and whole folders."""
