"""Compressed images that were cut or damaged are refused; sound ones stay as they are."""

import io
import os

import cv2
import numpy as np
import pytest
from dicom_builders import make_slice, write
from PIL import Image
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit, JPEGLSLossless

from mmdiag.errors import ReadError
from mmdiag.readers.dicom.codestreams import decoded_picture
from mmdiag.readers.dicom.series import read_series
from mmdiag.readers.imaging.raster_nifti import read_picture

SIDE = 128
NOISE = np.random.default_rng(5).integers(0, 256, (SIDE, SIDE)).astype(np.uint8)
PLANE = cv2.normalize(cv2.GaussianBlur(NOISE, (15, 15), 4), np.zeros(0), 0, 255, cv2.NORM_MINMAX)
END = b"\xff\xd9"


def jpeg(plane=PLANE, **options) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(plane)).save(stream, "JPEG", quality=95, **options)
    return stream.getvalue()


def jpeg_ls() -> bytes:
    import jpeg_ls

    return bytes(jpeg_ls.encode_array(PLANE))


def jpeg_2000() -> bytes:
    dataset = in_dicom(b"\0\0", JPEGBaseline8Bit)
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    dataset.PixelData = PLANE.tobytes()
    dataset.compress(JPEG2000Lossless, generate_instance_uid=False)
    return next(generate_frames(dataset.PixelData, number_of_frames=1))


def in_dicom(stream: bytes, syntax: str):
    dataset = make_slice(0, Rows=SIDE, Columns=SIDE, BitsAllocated=8, BitsStored=8, HighBit=7)
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PixelData = encapsulate([stream])
    dataset["PixelData"].VR, dataset["PixelData"].is_undefined_length = "OB", True
    return dataset


def cut(stream: bytes) -> bytes:
    return stream[: len(stream) // 3]


def cut_and_ended(stream: bytes) -> bytes:
    return cut(stream) + END


def torn(stream: bytes) -> bytes:
    return cut(stream) + bytes(len(stream) - len(stream) // 3)


def flipped(stream: bytes) -> bytes:
    damaged, at = bytearray(stream), len(stream) // 3
    for number in range(at, at + 40):
        damaged[number] ^= 0x5A
    return bytes(damaged)


REFUSED = ("truncated", "undecodable_pixels")


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}])
@pytest.mark.parametrize("damaged", [cut, cut_and_ended, torn, flipped])
def test_a_picture_that_was_cut_or_damaged_is_refused(tmp_path, damaged, options):
    file = tmp_path / "p.jpg"
    file.write_bytes(damaged(jpeg(**options)))
    with pytest.raises(ReadError, match=r"p\.jpg") as refused:
        read_picture(file)
    assert refused.value.code in REFUSED


@pytest.mark.parametrize("damaged", [cut, cut_and_ended, torn, flipped])
@pytest.mark.parametrize(
    ("encoded", "syntax"), [(jpeg, JPEGBaseline8Bit), (jpeg_ls, JPEGLSLossless)]
)
def test_a_dicom_frame_that_was_cut_or_damaged_is_refused(tmp_path, encoded, syntax, damaged):
    files = write(tmp_path / "s", [in_dicom(damaged(encoded()), syntax)])
    with pytest.raises(ReadError, match=r"\.dcm") as refused:
        read_series(files, {})
    assert refused.value.code in REFUSED


@pytest.mark.parametrize("damaged", [cut, cut_and_ended, torn])
def test_a_jpeg_2000_that_was_cut_is_refused(tmp_path, damaged):
    files = write(tmp_path / "s", [in_dicom(damaged(jpeg_2000()), JPEG2000Lossless)])
    with pytest.raises(ReadError, match=r"\.dcm") as refused:
        read_series(files, {})
    assert refused.value.code in REFUSED


@pytest.mark.parametrize(
    ("encoded", "syntax"),
    [(jpeg, JPEGBaseline8Bit), (jpeg_ls, JPEGLSLossless), (jpeg_2000, JPEG2000Lossless)],
)
def test_a_whole_frame_is_read_whatever_is_padded_behind_it(tmp_path, encoded, syntax):
    for padding in (0, 1, 8):
        stream = encoded() + bytes(padding)
        found = read_series(write(tmp_path / str(padding), [in_dicom(stream, syntax)]), {})
        assert np.abs(found.volume[0] - PLANE).max() <= (8 if syntax == JPEGBaseline8Bit else 0)


def test_sound_pictures_are_read_with_what_encoders_leave_in_them(tmp_path):
    colour = np.stack([PLANE, PLANE[::-1], PLANE.T], -1)
    for stream in (jpeg(colour), jpeg(colour, progressive=True), jpeg(restart_marker_rows=1)):
        # a comment that holds an end marker, and a scan that was padded to a multiple of four
        comment = b"\xff\xfe\x00\x06ab\xff\xd9"
        stated = stream[:2] + comment + stream[2:-2] + b"\0\0" + END
        expected = cv2.imdecode(np.frombuffer(stream, np.uint8), cv2.IMREAD_UNCHANGED)
        found = decoded_picture(stated)
        assert found is not None and np.array_equal(found, expected)


def test_what_the_decoder_says_goes_nowhere_and_the_standard_error_stays(capfd):
    with pytest.raises(ReadError, match="too little data"):
        decoded_picture(cut_and_ended(jpeg()))
    os.write(2, b"still here")
    assert capfd.readouterr().err == "still here"
