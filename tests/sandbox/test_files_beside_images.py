"""A picture or a volume is read with files beside it that describe it; of two none is chosen."""

import json

import cv2
import nibabel
import numpy as np
import pydicom
import pytest
from dicom_builders import make_slice

from mmdiag.errors import ReadError
from mmdiag.sandbox.image_request import image

VALUES = np.random.default_rng(0).normal(100, 20, (12, 10, 6)).astype(np.float32)


def volume(file):
    nibabel.save(nibabel.Nifti1Image(VALUES, np.diag([1.0, 1, 3, 1])), file)
    return file


def picture(file):
    cv2.imwrite(str(file), np.arange(100, dtype=np.uint8).reshape(10, 10))
    return file


def slice_of(file):
    pydicom.dcmwrite(file, make_slice(0), enforce_file_format=True)
    return file


def read(files):
    return image(list(map(str, files)), {}, 16, 8, "auto", "refuse")


@pytest.mark.parametrize(("write", "name"), [(volume, "t1.nii.gz"), (picture, "a.png")])
@pytest.mark.parametrize("beside", ["t1.json", "t1.bval", "t1.bvec", "readme.txt"])
def test_what_describes_an_image_is_left_out_and_named(tmp_path, write, name, beside):
    alone = write(tmp_path / name)
    facts, arrays = read([alone])
    (tmp_path / beside).write_text(json.dumps({"Modality": "MR"}))
    found, again = read(sorted([tmp_path / beside, alone]))
    assert np.array_equal(arrays["stack"], again["stack"]) and found["facts"] == facts["facts"]
    assert found["left_out"] == [beside]


@pytest.mark.parametrize("write", [volume, picture])
def test_of_two_pictures_or_volumes_none_is_chosen(tmp_path, write):
    ending = ".nii" if write is volume else ".png"
    with pytest.raises(ReadError) as refusal:
        read([write(tmp_path / f"{name}{ending}") for name in ("frontal", "lateral")])
    assert (refusal.value.code, refusal.value.detail) == (
        "several_files",
        "2 pictures or volumes",
    )


@pytest.mark.parametrize("name", ["IM0001", "a.dcm", "a.dat"])
def test_a_picture_beside_a_slice_is_what_a_viewer_left(tmp_path, name):
    facts, _ = read([slice_of(tmp_path / name), picture(tmp_path / "logo.png")])
    assert facts["facts"]["height"] != 10 and facts["left_out"] == ["logo.png"]
