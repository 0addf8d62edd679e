"""Images: from the bytes of DICOM, NIfTI, PNG and JPEG files to planes of grey levels, their
geometry and their facts.
"""
