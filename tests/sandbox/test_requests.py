"""What a worker answers: the facts of an image, and what its header says of the patient."""

import numpy as np
import pytest
from dicom_builders import make_slice, write
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from mmdiag.errors import ReadError
from mmdiag.privacy.dicom_attributes import MODALITIES_WITH_TEXT, PATIENT_ATTRIBUTES
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


def test_an_image_that_may_show_text_is_refused_unless_it_denies_it_or_is_accepted(tmp_path):
    for modality in MODALITIES_WITH_TEXT:
        with pytest.raises(ReadError, match="burned_in: its pixels may show text: by its modality"):
            read(tmp_path / modality, "refuse", Modality=modality)
        assert read(tmp_path / modality, "accept", Modality=modality)
        assert read(tmp_path / modality, "refuse", Modality=modality, BurnedInAnnotation="NO")
    with pytest.raises(ReadError, match="by BurnedInAnnotation"):
        read(tmp_path / "MR", "refuse", BurnedInAnnotation="YES")
