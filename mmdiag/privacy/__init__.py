"""What identifies a patient, and how it is masked or replaced: in notes, in DICOM attributes, and
in what models keep.
"""
