"""What is looked at of an image: its slices as they were acquired, in the order and pose of the
array that networks read, with what brings them to units, and nothing that identifies.
"""

import cv2
import nibabel
import numpy as np
import pytest
from dicom_builders import make_enhanced, make_pet, make_slice, write
from PIL import Image
from test_colour import RED, coded

from mmdiag.sandbox.image_request import image
from mmdiag.storage.display.codec import decode_slice, encode_slice
from mmdiag.storage.display.stack import DisplayStack

RAMP = np.arange(80, dtype=np.uint16).reshape(8, 10)


def read(files, tmp_path, *, size=10, slices=32, **asked):
    """Facts, the display stack and the array of one image."""
    asked = {"select": {}, "window": "auto", "burned_in": "accept", **asked}
    reply, arrays = image([str(file) for file in files], size=size, slices=slices, **asked)
    file = tmp_path / "content"
    file.write_bytes(bytes(arrays["display"]))
    return reply, DisplayStack(file, 0, reply["display"]), arrays["stack"]


def make_ramp(number, **changes):
    pixels = (RAMP + 100 * number).astype(np.uint16).tobytes()
    return make_slice(number, PixelData=pixels, **changes)


@pytest.mark.parametrize("kind", ["u1", "u2", "i2"])
@pytest.mark.parametrize("shape", [(7, 5), (6, 9, 3), (1, 1)])
def test_a_slice_is_what_was_encoded(kind, shape):
    info = np.iinfo(kind)
    plane = np.random.default_rng(0).integers(info.min, info.max, shape, dtype=kind, endpoint=True)
    found = decode_slice(encode_slice(plane))
    assert found.dtype == plane.dtype and np.array_equal(found, plane)


@pytest.mark.parametrize("content", [b"", b"\x07" * 40, encode_slice(RAMP)[:-3]])
def test_bytes_that_are_no_slice_are_no_slice(content):
    with pytest.raises(ValueError, match="slice"):
        decode_slice(content)


def test_slices_stay_as_acquired_in_the_order_of_the_array(tmp_path):
    files = write(tmp_path / "s", [make_ramp(n) for n in (3, 0, 4, 1, 2)])
    reply, found, stack = read(files, tmp_path, slices=3)
    assert len(found) == 5 and found.shape == (8, 10) and len(stack) == 3
    for number in range(5):
        assert np.array_equal(found.slice(number), RAMP + 100 * number)
    facts = reply["display"]
    assert facts["array_slices"] == [0, 2, 4] and facts["ends_mm"] == [0, 12]
    lengths = [facts["slice_mm"], facts["row_mm"], facts["column_mm"]]
    assert lengths == pytest.approx([3, 0.5, 0.7]) and facts["orientation"] == "HPL"


def test_values_come_back_by_slope_and_intercept(tmp_path):
    ct = {"Modality": "CT", "RescaleIntercept": "-1024"}
    slices = [make_ramp(n, **ct, RescaleSlope=str(1 + n)) for n in range(2)]
    reply, found, _ = read(write(tmp_path / "s", slices), tmp_path)
    assert [found.rescale(n) for n in (0, 1)] == [(1, -1024), (2, -1024)]
    assert reply["display"]["hounsfield"] is True
    pet, found, _ = read(write(tmp_path / "p", [make_pet(0)]), tmp_path)
    slope, intercept = found.rescale(0)
    assert slope * found.slice(0)[0, 0] + intercept == pytest.approx(pet["facts"]["low"])


def test_a_series_that_was_acquired_the_other_way_round_is_turned_like_its_array(tmp_path):
    turned = {"ImageOrientationPatient": [-1, 0, 0, 0, 1, 0]}
    _, found, stack = read(
        write(tmp_path / "s", [make_ramp(n, **turned) for n in range(3)]), tmp_path
    )
    assert np.array_equal(found.slice(0), RAMP[:, ::-1]), "right to left becomes left to right"
    largest = [int(np.argmax(one)) for one in stack[0][4:5]]
    assert largest == [int(np.argmax(found.slice(0)[4]))]


def test_slices_that_are_cut_anew_are_those_of_the_array(tmp_path):
    sagittal = {"ImageOrientationPatient": [0, 1, 0, 0, 0, -1], "PixelSpacing": [1, 1]}
    slices = [make_ramp(n, **sagittal, ImagePositionPatient=[n, 0, 0]) for n in range(6)]
    reply, found, stack = read(write(tmp_path / "s", slices), tmp_path)
    assert len(found) == 8 and found.shape == (10, 6) and reply["display"]["orientation"] == "HPL"
    volume = np.stack([found.slice(n) for n in range(8)])
    assert volume[0, 0, 0] == RAMP[7, 0] and volume[7, 9, 5] == RAMP[0, 9] + 500
    assert len(stack) == 8


def test_a_larger_image_is_averaged_to_512_pixels(tmp_path):
    plane = np.random.default_rng(1).integers(0, 4000, (600, 1200)).astype(np.uint16)
    large = make_slice(0, PixelData=plane.tobytes(), Rows=600, Columns=1200)
    reply, found, _ = read(write(tmp_path / "s", [large]), tmp_path)
    assert found.shape == (256, 512)
    wanted = cv2.resize(plane, (512, 256), interpolation=cv2.INTER_AREA)
    assert np.array_equal(found.slice(0), wanted)
    assert reply["display"]["row_mm"] == pytest.approx(0.5 * 600 / 256)


def test_windows_are_the_files_own_and_a_broken_one_refuses_nothing(tmp_path):
    own = make_ramp(0, WindowCenter=[40, 600], WindowWidth=[80, 2800])
    assert read(write(tmp_path / "a", [own]), tmp_path)[0]["display"]["windows"] == [
        [0, 79],
        [-800, 1999],
    ]
    broken = make_ramp(0, WindowCenter="40")
    assert read(write(tmp_path / "b", [broken]), tmp_path)[0]["display"]["windows"] == []


def test_the_name_of_a_series_holds_words_of_radiology_and_no_name(tmp_path):
    named = make_ramp(0, SeriesDescription="AX FLAIR Mueller 3mm", PatientName="Flair^Anna")
    assert read(write(tmp_path / "s", [named]), tmp_path)[0]["display"]["series"] == "AX 3mm"


def test_an_image_in_colour_keeps_three_channels_and_a_grey_one_has_one(tmp_path):
    files = write(tmp_path / "s", [coded("planes")])
    _, found, _ = read(files, tmp_path)
    assert found.slice(0).dtype == np.uint8 and found.slice(0)[4, 1].tolist() == list(RED)
    assert read(files, tmp_path, colour="grey")[1].slice(0).ndim == 2
    Image.fromarray(RAMP.astype(np.uint8)).save(tmp_path / "p.png")
    _, found, _ = read([tmp_path / "p.png"], tmp_path)
    assert found.slice(0).dtype == np.uint8 and np.array_equal(found.slice(0), RAMP)


def test_pixels_that_are_no_image_are_as_dark_as_the_darkest(tmp_path):
    plane = RAMP + 20
    plane[0] = 4000
    padded = make_slice(0, PixelData=plane.astype(np.uint16).tobytes(), PixelPaddingValue=4000)
    _, found, _ = read(write(tmp_path / "s", [padded]), tmp_path)
    assert (found.slice(0)[0] == 30).all() and np.array_equal(found.slice(0)[1:], plane[1:])


def test_a_nifti_of_fractions_comes_back_to_a_sixteenth_of_a_thousandth(tmp_path):
    values = np.random.default_rng(2).normal(size=(5, 6, 4)).astype(np.float32)
    values[0, 0, 0] = np.nan
    nifti = nibabel.Nifti1Image(values, np.diag([-1.0, -1, 3, 1]))
    nibabel.save(nifti, tmp_path / "v.nii.gz")
    _, found, _ = read([tmp_path / "v.nii.gz"], tmp_path)
    slope, intercept = found.rescale(0)
    shown = np.stack([slope * found.slice(n) + intercept for n in range(4)])
    wanted = np.nan_to_num(values, nan=np.nanmin(values)).transpose(2, 1, 0)
    assert np.abs(shown - wanted).max() <= slope


def test_a_file_of_many_frames_is_one_stack(tmp_path):
    _, found, _ = read(write(tmp_path / "s", [make_enhanced([0.0, 3, 6])]), tmp_path)
    assert len(found) == 3 and found.rescale(0) == (2, -10) and (found.slice(2) == 2).all()


def test_a_part_of_the_array_lies_over_the_same_part_of_the_display(tmp_path):
    plane = np.zeros((40, 80), np.uint16)
    plane[30:40, 0:20] = 1000
    files = write(
        tmp_path / "s",
        [make_slice(0, PixelData=plane.tobytes(), Rows=40, Columns=80, PixelSpacing=[1, 1])],
    )
    _, found, stack = read(files, tmp_path, size=16, window=[0.0, 1000.0])
    rows, columns = np.nonzero(stack[0] > 128)
    part = {"slice": 0, "row": int(rows.min()), "column": int(columns.min()), "value": 0.5}
    part |= {"height": int(np.ptp(rows)) + 1, "width": int(np.ptp(columns)) + 1}
    assert found.parts_of_array([part]) == [
        {"slice": 0, "row": 30.0, "height": 10.0, "column": 0.0, "width": 20.0, "value": 0.5}
    ]
    margin = {"slice": 0, "row": 0, "column": 0, "height": 4, "width": 16, "value": 1.0}
    assert found.parts_of_array([margin]) == [], "nothing of the picture lies in the margin"
