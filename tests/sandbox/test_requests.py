"""What a worker answers: the facts of an image, and what its header says of the patient."""

import numpy as np
from dicom_builders import make_slice, write
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from mmdiag.privacy.dicom_attributes import PATIENT_ATTRIBUTES
from mmdiag.sandbox.requests import image


def read(folder, burned_in="accept", **attributes):
    gradient = np.arange(80, dtype=np.uint16).tobytes()
    files = write(folder, [make_slice(0, PixelData=gradient, **attributes)])
    facts, _ = image([str(file) for file in files], {}, 8, 1, "auto", burned_in)
    return facts


def test_every_attribute_that_identifies_a_patient_is_masked_in_the_case_s_notes(tmp_path):
    planted = {keyword: f"Zelda{number}" for number, keyword in enumerate(PATIENT_ATTRIBUTES)}
    planted["PatientBirthDate"] = "19510203"
    item = Dataset()
    item.PatientID = planted["OtherPatientIDsSequence"]
    attributes = planted | {"OtherPatientIDsSequence": Sequence([item])}
    assert set(read(tmp_path / "s", **attributes)["identifiers"]) == set(planted.values())
