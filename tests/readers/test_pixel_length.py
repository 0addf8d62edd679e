"""Pixels are as many as the header says: more of them are frames or rows that nobody counted."""

import numpy as np
import pytest
from dicom_builders import make_slice, write
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import JPEG2000Lossless, RLELossless

from mmdiag.errors import ReadError
from mmdiag.readers.dicom.series import read_series

PLANE = (np.arange(64 * 64).reshape(64, 64) % 4096).astype(np.uint16)


def plane(**changes):
    return make_slice(0, **({"Rows": 64, "Columns": 64, "PixelData": PLANE.tobytes()} | changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"PixelData": PLANE.tobytes() * 3},
        {"Rows": 32},
        {"Columns": 63},
        {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7},
        {"NumberOfFrames": 2, "PixelData": PLANE.tobytes() * 3, "ImagePositionPatient": None},
        {"PixelData": PLANE.tobytes() + b"\0\1"},
    ],
)
def test_more_pixels_than_the_header_says_are_refused(tmp_path, changes):
    with pytest.raises(ReadError, match="bytes of pixels, the header says") as refused:
        read_series(write(tmp_path / "s", [plane(**changes)]), {})
    assert refused.value.code == "unreadable"


def test_padding_to_an_even_length_is_none(tmp_path):
    odd = np.arange(63, dtype=np.uint8).reshape(7, 9)
    bits = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}
    dataset = plane(Rows=7, Columns=9, PixelData=odd.tobytes() + b"\0", **bits)
    assert np.array_equal(read_series(write(tmp_path / "s", [dataset]), {}).volume[0], odd)


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless])
def test_compressed_frames_that_nobody_counted_are_refused(tmp_path, syntax):
    dataset = plane(NumberOfFrames=2, PixelData=PLANE.tobytes() * 2)
    dataset.compress(syntax, generate_instance_uid=False)
    del dataset.NumberOfFrames
    with pytest.raises(ReadError, match="2 frames, the header says 1") as refused:
        read_series(write(tmp_path / "s", [dataset]), {})
    assert refused.value.code == "unreadable"


def test_a_frame_may_lie_in_several_fragments(tmp_path):
    dataset = plane()
    dataset.compress(JPEG2000Lossless, generate_instance_uid=False)
    stream = next(generate_frames(dataset.PixelData, number_of_frames=1))
    dataset.PixelData = encapsulate([stream], fragments_per_frame=3, has_bot=False)
    assert np.array_equal(read_series(write(tmp_path / "s", [dataset]), {}).volume[0], PLANE)
