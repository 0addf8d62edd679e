"""One rule of which images may show text in their pixels, for ingestion and de-identification."""

import pytest

from mmdiag.privacy.dicom_attributes import (
    CLASSES_WITH_TEXT,
    IMAGE_TYPES_WITH_TEXT,
    MODALITIES_WITH_TEXT,
    header_identifiers,
    text_in_pixels,
)

KINDS = {
    **{f"class {uid}": {"SOPClassUID": (uid,)} for uid in sorted(CLASSES_WITH_TEXT)},
    **{f"modality {code}": {"Modality": (code,)} for code in sorted(MODALITIES_WITH_TEXT)},
    **{f"type {word}": {"ImageType": ("DERIVED", word)} for word in sorted(IMAGE_TYPES_WITH_TEXT)},
    "converted": {"ConversionType": ("SI",)},
}


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_of_a_kind_that_shows_text_is_believed_to_show_none_only_at_ingestion(kind):
    silent, denied = KINDS[kind], KINDS[kind] | {"BurnedInAnnotation": ("no ",)}
    assert text_in_pixels(silent, trust_no=True) and text_in_pixels(silent, trust_no=False)
    assert not text_in_pixels(denied, trust_no=True)
    assert text_in_pixels(denied, trust_no=False) == text_in_pixels(silent, trust_no=False)


@pytest.mark.parametrize("trust_no", [True, False])
def test_an_image_of_another_kind_shows_text_where_it_says_so_itself(trust_no):
    plain = {"Modality": ("MR",), "ImageType": ("ORIGINAL", "PRIMARY"), "ConversionType": ("",)}
    assert not text_in_pixels(plain, trust_no=trust_no)
    for silent_or_no in ("", "NO"):
        header = plain | {"BurnedInAnnotation": (silent_or_no,)}
        assert not text_in_pixels(header, trust_no=trust_no)
    for said in ("YES", "MAYBE"):
        header = plain | {"BurnedInAnnotation": (said,)}
        assert text_in_pixels(header, trust_no=trust_no) == ["BurnedInAnnotation (0028,0301)"]


def test_a_station_that_is_called_by_words_of_radiology_masks_none_of_them():
    for station in ("MRI", "CT scan"):
        assert header_identifiers({"StationName": (station,), "StudyID": ("4711",)}) == ("4711",)
    for station in ("MRC35174", "CT Featherstone"):
        assert header_identifiers({"StationName": (station,)}) == (station,)
    assert header_identifiers({"PatientName": ("Brain^Mri", "Head")}) == ("Brain^Mri", "Head")
