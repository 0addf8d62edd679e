"""Pictures that are not read are refused by what they are."""

import io

import numpy as np
import pytest
from PIL import Image

from mmdiag.errors import ReadError
from mmdiag.ingest.inspect import inspect
from mmdiag.reasons import REASONS
from mmdiag.sandbox.image_request import image

PIXELS = np.arange(4_096, dtype=np.uint8).reshape(64, 64)
FORMS = {"TIFF": "a TIFF", "BMP": "a BMP", "GIF": "a GIF", "WEBP": "a WebP", "AVIF": "a HEIF"}
FORMS |= {"JPEG2000": "a JPEG 2000", "PNG": "a PNG that is not", "JPEG": "a JPEG that is not"}


def saved(form):
    content = io.BytesIO()
    Image.fromarray(PIXELS).save(content, form)
    return content.getvalue()


def read(file):
    return image([str(file)], {}, 64, 8, "auto", "refuse")


@pytest.mark.parametrize("form", FORMS)
def test_another_form_of_picture_is_refused_by_its_name(tmp_path, form):
    file = tmp_path / "scan"
    file.write_bytes(saved(form))
    with pytest.raises(ReadError) as refusal:
        read(file)
    assert refusal.value.code == "picture_form" and FORMS[form] in refusal.value.detail
    assert "PNG" in REASONS["picture_form"].cure


def test_inspect_says_so_too(tmp_path):
    (tmp_path / "slide.tif").write_bytes(saved("TIFF"))
    (verdict,) = inspect([tmp_path])
    assert (verdict["verdict"], verdict["code"]) == ("quarantined", "picture_form")


@pytest.mark.parametrize("ending", [".jpg", ".JPE", ".jfif"])
def test_a_jpeg_is_one_under_each_of_its_endings(tmp_path, ending):
    file = tmp_path / f"a{ending}"
    file.write_bytes(saved("JPEG"))
    assert read(file)[0]["facts"]["height"] == 64
    assert [verdict["code"] for verdict in inspect([tmp_path])] == [""]


def test_a_volume_in_two_files_is_refused_as_that(tmp_path):
    import nibabel

    volume = nibabel.Nifti1Pair(PIXELS[..., None], np.eye(4))
    nibabel.save(volume, tmp_path / "brain.img")
    for name in ("brain.hdr", "brain.img"):
        with pytest.raises(ReadError, match=rf"{name} is half of it") as refusal:
            read(tmp_path / name)
        assert refusal.value.code == "volume_in_two_files"
    (tmp_path / "brain.hdr").unlink()
    with pytest.raises(ReadError, match="not_dicom"):
        read(tmp_path / "brain.img")
