"""Pixels of a de-identified image: they stay, nothing hides beside them, and what may show a name is
refused or blanked.
"""

import io

import numpy as np
import pytest
from deidentify_builders import PERSON, clean, make_image
from pydicom.encaps import encapsulate
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    RLELossless,
    UltrasoundImageStorage,
)

from mmdiag.deidentify.pixels import without_comments
from mmdiag.errors import ReadError

RISKY = {
    "class": {"SOPClassUID": UltrasoundImageStorage},
    "modality": {"Modality": "US", "BurnedInAnnotation": "NO"},
    "annotation": {"BurnedInAnnotation": "YES"},
    "conversion": {"ConversionType": "SI"},
    "image type": {"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]},
}


@pytest.mark.parametrize(
    "syntax",
    [ExplicitVRLittleEndian, ExplicitVRBigEndian, "1.2.840.10008.1.2", "1.2.840.10008.1.2.1.99"],
)
def test_uncompressed_pixels_stay_in_their_transfer_syntax(syntax):
    old = make_image(syntax=syntax)
    old.PixelData += PERSON["family"].encode().ljust(80, b" ")
    new, _, content = clean(old)
    assert (
        new.file_meta.TransferSyntaxUID == syntax
        and new.pixel_array[0, :3].tolist() == [30, 31, 32]
        and PERSON["family"].encode() not in content
    )


def test_compressed_pixels_stay_as_they_are_without_their_comments():
    old = make_image()
    old.compress(RLELossless, generate_instance_uid=False)
    assert np.array_equal(clean(old)[0].pixel_array, make_image().pixel_array)
    from PIL import Image

    Image.fromarray(np.full((8, 10), 90, np.uint8)).save(
        stream := io.BytesIO(), "JPEG", comment=PERSON["family"].encode()
    )
    jpeg = stream.getvalue() + PERSON["family"].encode()
    assert PERSON["family"].encode() in jpeg
    old = make_image(
        syntax=JPEGBaseline8Bit,
        BitsAllocated=8,
        BitsStored=8,
        HighBit=7,
        PixelData=encapsulate([jpeg]),
    )
    old["PixelData"].is_undefined_length, old["PixelData"].VR = True, "OB"
    new, _, content = clean(old)
    assert (
        PERSON["family"].encode() not in content
        and new.pixel_array.tolist() == np.full((8, 10), 90).tolist()
    )


def test_comments_of_jpeg_2000_are_dropped():
    stream = (
        b"\xff\x4f\xff\x51\x00\x04ab"
        + b"\xff\x64\x00\x08\x00\x01John"
        + b"\xff\x52\x00\x03c"
        + b"\xff\x90tile\xff\xd9trailer"
    )
    assert (
        without_comments(stream)
        == b"\xff\x4f\xff\x51\x00\x04ab\xff\x52\x00\x03c\xff\x90tile\xff\xd9"
    )
    with pytest.raises(ReadError, match="undecodable_pixels"):
        without_comments(b"John")


def test_an_overlay_in_unused_bits_is_cleared():
    pixels = np.arange(80, dtype=np.uint16)
    old = make_image(PixelData=(pixels | 0x8000).tobytes())
    old.add_new(0x6000_0102, "US", 15)
    new, _, _ = clean(old)
    assert np.frombuffer(new.PixelData, "<u2").tolist() == pixels.tolist()


@pytest.mark.parametrize("risk", RISKY)
def test_an_image_that_may_show_text_is_refused_or_blanked_by_rule(risk):
    with pytest.raises(ReadError, match="burned_in") as refusal:
        clean(make_image(**RISKY[risk]))
    assert PERSON["family"] not in str(refusal.value)
    new, report, _ = clean(make_image(**RISKY[risk]), blank_top=0.2)
    assert (
        (new.pixel_array[:2] == 0).all()
        and np.array_equal(new.pixel_array[2:], make_image().pixel_array[2:])
        and report.blanked == 0.2
    )
    assert (
        new.DeidentificationMethodCodeSequence[-1].CodeValue == "113101"
        and new.BurnedInAnnotation == "NO"
    )
    assert "top 20 %" in new.DeidentificationMethod[1]


def test_blanking_is_black_in_colour_in_many_frames_and_where_black_is_white():
    inverted, _, _ = clean(make_image(PhotometricInterpretation="MONOCHROME1"), blank_top=0.25)
    assert (inverted.pixel_array[:2] == 4095).all() and inverted.pixel_array[2, 0] == 50
    colour = {
        "SamplesPerPixel": 3,
        "PhotometricInterpretation": "RGB",
        "PlanarConfiguration": 0,
        "BitsAllocated": 8,
        "BitsStored": 8,
        "HighBit": 7,
    }
    new, _, _ = clean(
        make_image(**colour, NumberOfFrames=2, PixelData=bytes([200]) * 480), blank_top=0.5
    )
    assert (
        new.pixel_array.shape == (2, 8, 10, 3)
        and (new.pixel_array[:, :4] == 0).all()
        and (new.pixel_array[:, 4:] == 200).all()
    )
