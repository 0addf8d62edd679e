"""Pictures and NIfTI volumes: upright, in one pose with DICOM, and left is left."""

import nibabel
import numpy as np
import pytest
from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform
from PIL import Image

from mmdiag.errors import ReadError
from mmdiag.readers.imaging.raster_nifti import read_nifti, read_picture
from mmdiag.readers.imaging.resample import to_stored


def save(file, values, affine, **facts):
    image = nibabel.Nifti1Image(values, affine)
    image.set_sform(affine, 1)
    image.set_qform(affine, 1)
    for name, value in facts.items():
        image.header[name] = value
    nibabel.save(image, file)
    return file


def reoriented(values, affine, codes):
    """The same volume with its axes in another order and direction, by nibabel."""
    image = nibabel.Nifti1Image(values, affine)
    change = ornt_transform(io_orientation(affine), axcodes2ornt(codes))
    turned = image.as_reoriented(change)
    return np.asarray(turned.dataobj), turned.affine


VOLUME = np.random.default_rng(3).integers(0, 900, (9, 7, 5)).astype(np.int16)
AFFINE = np.diag([1.0, 1.2, 3.0, 1.0])


@pytest.mark.parametrize("codes", ["RAS", "LAS", "LPS", "PIR", "ASL", "IPR"])
def test_a_volume_is_that_of_nibabels_canonical_orientation_however_it_is_written(tmp_path, codes):
    values, affine = reoriented(VOLUME, AFFINE, codes)
    found = read_nifti(save(tmp_path / "v.nii.gz", values, affine))
    # RAS+ (right, front, head) to slices from the feet, rows from the front, columns from the right
    canonical = nibabel.as_closest_canonical(nibabel.Nifti1Image(values, affine))
    expected = np.asarray(canonical.dataobj).transpose(2, 1, 0)[:, ::-1, ::-1]
    assert np.array_equal(found.volume, expected) and found.pose.orientation == "HPL"
    assert found.pose.lengths_mm == pytest.approx((3, 1.2, 1)) and found.aspect == pytest.approx(
        1.2
    )


def test_thick_slices_stay_the_planes_in_which_they_were_acquired(tmp_path):
    sagittal = read_nifti(save(tmp_path / "s.nii", VOLUME, np.diag([5.0, 1.0, 1.0, 1.0])))
    assert sagittal.pose.orientation == "RFP" and sagittal.volume.shape == (9, 5, 7)
    # from left to right, from the head down, from the front back
    assert np.array_equal(sagittal.volume, VOLUME.transpose(0, 2, 1)[:, ::-1, ::-1])
    coronal = read_nifti(save(tmp_path / "c.nii", VOLUME, np.diag([1.0, 5.0, 1.0, 1.0])))
    assert coronal.pose.orientation == "PFL" and coronal.volume.shape == (7, 5, 9)
    assert np.array_equal(coronal.volume, VOLUME.transpose(1, 2, 0)[::-1, ::-1, ::-1])


def test_an_oblique_volume_stands_as_the_nearest_standard_one(tmp_path):
    turned = np.radians(20)
    rotation = np.eye(4)
    rotation[:2, :2] = [[np.cos(turned), -np.sin(turned)], [np.sin(turned), np.cos(turned)]]
    found = read_nifti(save(tmp_path / "v.nii", VOLUME, rotation @ AFFINE))
    assert np.array_equal(found.volume, read_nifti(save(tmp_path / "s.nii", VOLUME, AFFINE)).volume)


def test_what_says_nothing_of_left_and_right_or_two_things_is_refused(tmp_path):
    nibabel.save(nibabel.Nifti1Image(VOLUME, None), tmp_path / "none.nii")
    two = nibabel.Nifti1Image(VOLUME, AFFINE)
    two.set_sform(AFFINE, 1)
    two.set_qform(np.diag([-1.0, 1.2, 3.0, 1.0]), 1)
    nibabel.save(two, tmp_path / "two.nii")
    flat = nibabel.Nifti1Image(VOLUME, AFFINE)
    flat.set_sform(np.diag([1.0, 1.0, 0.0, 1.0]), 1)
    flat.set_qform(None, 0)
    nibabel.save(flat, tmp_path / "flat.nii")
    for name in ("none", "two", "flat"):
        with pytest.raises(ReadError, match="missing_geometry"):
            read_nifti(tmp_path / f"{name}.nii")


def test_one_volume_is_read_and_several_labels_or_colours_are_not(tmp_path):
    one = save(tmp_path / "one.nii", VOLUME[..., None], AFFINE)
    assert read_nifti(one).volume.shape == (5, 7, 9)
    flat = save(tmp_path / "flat.nii", VOLUME[..., 0], AFFINE)
    assert read_nifti(flat).volume.shape == (1, 7, 9)
    with pytest.raises(ReadError, match=r"several_volumes: .*4 axes, 2 volumes"):
        read_nifti(save(tmp_path / "two.nii", np.stack([VOLUME] * 2, axis=-1), AFFINE))
    with pytest.raises(ReadError, match=r"segmentation: .*labels"):
        read_nifti(save(tmp_path / "labels.nii", VOLUME, AFFINE, intent_code=1002))
    colours = np.zeros((4, 4, 4), np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")]))
    with pytest.raises(ReadError, match=r"unreadable: .*colours"):
        read_nifti(save(tmp_path / "rgb.nii", colours, AFFINE))
    packed = save(tmp_path / "torn.nii.gz", VOLUME, AFFINE)
    packed.write_bytes(packed.read_bytes()[:-60])
    with pytest.raises(ReadError, match="unreadable"):
        read_nifti(packed)


def test_what_was_not_measured_decides_no_contrast_and_is_black(tmp_path):
    values = np.tile(np.linspace(100, 200, 40, dtype=np.float32)[:, None, None], (1, 40, 3))
    values[:, :20] = np.nan
    values[0, 30] = np.inf
    found = read_nifti(save(tmp_path / "v.nii", values, np.eye(4)))
    stored = to_stored(found.volume, 40, 3, aspect=found.aspect)
    assert 99 < stored.low < 102 and 198 < stored.high < 201
    assert (stored.stack[:, 20:] == 0).all() and stored.stack[:, :19].max() == 255


def test_the_display_range_of_a_nifti_is_what_it_asks_to_be_shown(tmp_path):
    asked = save(tmp_path / "v.nii", VOLUME, AFFINE, cal_min=10, cal_max=300)
    assert read_nifti(asked).shown == (10, 300)
    assert read_nifti(save(tmp_path / "w.nii", VOLUME, AFFINE)).shown is None


PICTURE = np.zeros((24, 16), np.uint8)
PICTURE[2:9, 1:6], PICTURE[14:20, 9:15] = 220, 90


@pytest.mark.parametrize("number", range(1, 9))
@pytest.mark.parametrize("form", ["jpg", "png"])
def test_a_photograph_is_upright_whichever_way_it_was_held(tmp_path, number, form):
    from PIL import ImageOps

    exif = Image.Exif()
    exif[0x0112] = number
    file = tmp_path / f"p.{form}"
    Image.fromarray(PICTURE).save(file, exif=exif, **({"quality": 95} if form == "jpg" else {}))
    with Image.open(file) as picture:
        expected = np.asarray(ImageOps.exif_transpose(picture), np.float32)
    assert np.abs(read_picture(file).volume[0] - expected).max() <= 2


def test_an_orientation_that_is_none_and_printing_inks_are_refused(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 9
    Image.fromarray(PICTURE).save(tmp_path / "p.jpg", exif=exif)
    with pytest.raises(ReadError, match="EXIF orientation"):
        read_picture(tmp_path / "p.jpg")
    Image.fromarray(PICTURE).convert("RGB").convert("CMYK").save(tmp_path / "inks.jpg")
    with pytest.raises(ReadError, match=r"unknown_photometric: .*inks"):
        read_picture(tmp_path / "inks.jpg")


def test_a_palette_a_grey_alpha_and_sixteen_bits_show_the_same_picture(tmp_path):
    grey = Image.fromarray(PICTURE)
    grey.save(tmp_path / "plain.png")
    grey.convert("P").save(tmp_path / "palette.png")
    Image.merge("LA", (grey, Image.new("L", grey.size, 255))).save(tmp_path / "alpha.png")
    Image.fromarray(PICTURE.astype(np.uint16) * 257).save(tmp_path / "deep.png")
    stacks = [
        to_stored(read_picture(tmp_path / f"{name}.png").volume, 24, 1).stack
        for name in ("plain", "palette", "alpha", "deep")
    ]
    assert all(np.abs(stack.astype(int) - stacks[0]).max() <= 1 for stack in stacks)


def test_what_is_transparent_is_no_image(tmp_path):
    opaque = np.zeros_like(PICTURE)
    opaque[:, :8] = 255
    layers = (Image.fromarray(PICTURE + 20), Image.fromarray(opaque))
    Image.merge("LA", layers).save(tmp_path / "p.png")
    volume = read_picture(tmp_path / "p.png").volume
    assert np.isnan(volume[0, :, 8:]).all()
    stored = to_stored(volume, 24, 1)
    assert stored.low == 20 and (stored.stack[0, :, 12:] == 0).all()


def test_pixels_that_are_no_squares_make_a_picture_with_square_ones(tmp_path):
    y, x = np.mgrid[:40, :80]
    disc = (((y - 20) ** 2 + ((x - 40) / 2) ** 2) < 225).astype(np.uint8) * 255
    Image.fromarray(disc).save(tmp_path / "p.png", dpi=(200, 100))
    found = read_picture(tmp_path / "p.png")
    assert found.aspect == pytest.approx(2)
    shown = to_stored(found.volume, 64, 1, aspect=found.aspect).stack[0] > 127
    rows, columns = np.flatnonzero(shown.any(axis=1)), np.flatnonzero(shown.any(axis=0))
    assert abs(np.ptp(rows) - np.ptp(columns)) <= 1 and np.ptp(rows) > 30


def rotated(degrees, axis=2):
    """A turn about one axis of the patient."""
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    one, other = (number for number in range(3) if number != axis)
    turn = np.eye(4)
    turn[[one, other], [one, other]], turn[one, other], turn[other, one] = cosine, -sine, sine
    return turn


def with_qform(file, qform):
    image = nibabel.Nifti1Image(VOLUME, AFFINE)
    image.set_sform(AFFINE, 2)
    image.set_qform(qform, 1)
    nibabel.save(image, file)
    return file


@pytest.mark.parametrize(
    "turn",
    [
        rotated(90),
        rotated(-90, 0),
        rotated(60, 1),
        rotated(180),
        np.diag([-1.0, 1, 1, 1]),
        np.eye(4)[[1, 0, 2, 3]],
    ],
)
def test_an_sform_and_a_qform_that_disagree_on_where_an_axis_goes_are_refused(tmp_path, turn):
    with pytest.raises(ReadError, match="disagree on where an axis goes") as refused:
        read_nifti(with_qform(tmp_path / "v.nii", turn @ AFFINE))
    assert refused.value.code == "missing_geometry"


@pytest.mark.parametrize("turn", [np.eye(4), rotated(8), rotated(-30, 0)])
def test_an_sform_that_was_registered_may_be_turned_against_the_qform(tmp_path, turn):
    assert read_nifti(with_qform(tmp_path / "v.nii", turn @ AFFINE)).pose.orientation == "HPL"
