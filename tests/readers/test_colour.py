"""Colour: channels that differ are kept as red, green and blue, by whatever way a file codes them;
what is grey stays one channel.
"""

import cv2
import numpy as np
import pytest
from dicom_builders import make_slice, write
from PIL import Image
from pydicom.pixels.processing import convert_color_space

from mmdiag.readers.dicom.series import read_series
from mmdiag.readers.imaging.colour import shows_colour
from mmdiag.readers.imaging.raster_nifti import read_picture
from mmdiag.sandbox.requests import image

RED = (200, 60, 20)
EIGHT_BITS = {
    "BitsAllocated": 8,
    "BitsStored": 8,
    "HighBit": 7,
    "Modality": "OT",
}


def make_picture(left=RED, right=(20, 60, 200)):
    """8 rows of 10 columns, one colour on the left half and another on the right."""
    pixels = np.empty((8, 10, 3), np.uint8)
    pixels[:, :5], pixels[:, 5:] = left, right
    return pixels


def stored(files, **options):
    asked = {
        "select": {},
        "size": 10,
        "slices": 4,
        "window": "auto",
        "burned_in": "accept",
        **options,
    }
    facts, arrays = image(files=[str(file) for file in files], **asked)
    assert ("colours" in arrays) == ("in_colour" in facts)
    return arrays


def make_coloured(pixels, photometric="RGB", **changes):
    facts = {"PhotometricInterpretation": photometric, "SamplesPerPixel": 3, **EIGHT_BITS}
    facts |= {"PlanarConfiguration": 0, "PixelData": pixels.tobytes()}
    return make_slice(0, **facts | changes)


def make_palette(indices, colours, bits=8, scale=1):
    dataset = make_slice(
        0, PhotometricInterpretation="PALETTE COLOR", PixelData=indices.tobytes(), **EIGHT_BITS
    )
    for name, levels in zip(("Red", "Green", "Blue"), np.transpose(colours), strict=True):
        descriptor = [len(colours), 0, bits]
        setattr(dataset, f"{name}PaletteColorLookupTableDescriptor", descriptor)
        entries = levels.astype(np.uint8 if bits == 8 else np.uint16) * scale
        setattr(dataset, f"{name}PaletteColorLookupTableData", entries.tobytes())
    return dataset


def coded(way):
    """The same picture in one of DICOM's ways to code colours."""
    pixels = make_picture()
    if way == "planes":
        planes = pixels.transpose(2, 0, 1)
        return make_coloured(planes, PlanarConfiguration=1)
    if way == "YBR_FULL":
        return make_coloured(convert_color_space(pixels, "RGB", "YBR_FULL"), "YBR_FULL")
    if way.startswith("palette"):
        indices = np.repeat([[0] * 5 + [1] * 5], 8, axis=0).astype(np.uint8)
        depth = {"palette": (8, 1), "palette of 16 bits": (16, 257)}.get(way, (16, 1))
        return make_palette(indices, [pixels[0, 0], pixels[0, 9]], *depth)
    return make_coloured(pixels)


PALETTES = ("palette", "palette of 16 bits", "palette of 8 bits that says 16")


@pytest.mark.parametrize("way", ["pixels", "planes", "YBR_FULL", *PALETTES])
def test_a_dicom_image_in_colour_keeps_its_channels_however_they_are_coded(tmp_path, way):
    arrays = stored(write(tmp_path / "s", [coded(way)]))
    assert arrays["stack"].shape == (1, 10, 10) and arrays["colours"].shape == (1, 10, 10, 3)
    left, right = arrays["colours"][0, 5, 1], arrays["colours"][0, 5, 8]
    assert np.abs(left.astype(int) - RED).max() <= 2
    assert np.abs(right.astype(int) - RED[::-1]).max() <= 2


def test_channels_of_more_than_8_bits_are_brought_to_8(tmp_path):
    deep = make_picture().astype(np.uint16) * 16
    facts = {"BitsAllocated": 16, "BitsStored": 12, "HighBit": 11}
    arrays = stored(write(tmp_path / "s", [make_coloured(deep, **facts)]))
    assert np.abs(arrays["colours"][0, 5, 1].astype(int) - RED).max() <= 1


@pytest.mark.parametrize("way", ["RGB", "palette"])
def test_a_dicom_image_of_equal_channels_stays_grey(tmp_path, way):
    grey = make_picture((90, 90, 90), (140, 140, 140))
    dataset = make_coloured(grey)
    if way == "palette":
        indices = np.repeat([[0] * 5 + [1] * 5], 8, axis=0).astype(np.uint8)
        dataset = make_palette(indices, [grey[0, 0], grey[0, 9]])
    files = write(tmp_path / "s", [dataset])
    assert "colours" not in stored(files) and "colours" not in stored(files, colour="keep")
    assert read_series(files, {}, colour=True).colours == ()


def test_grey_levels_are_the_same_whether_colours_are_kept_or_not(tmp_path):
    cv2.imwrite(str(tmp_path / "p.png"), make_picture()[..., ::-1])
    files = [tmp_path / "p.png"]
    kept, grey = stored(files), stored(files, colour="grey")
    assert "colours" in kept and "colours" not in grey
    assert np.array_equal(kept["stack"], grey["stack"])
    slices = write(tmp_path / "s", [coded("pixels")])
    assert np.array_equal(stored(slices)["stack"], stored(slices, colour="grey")["stack"])


def test_a_picture_keeps_red_green_and_blue_upright_in_8_and_16_bits(tmp_path):
    pixels = make_picture()
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter to the right
    turned = np.ascontiguousarray(np.rot90(pixels, 1))
    Image.fromarray(turned).save(tmp_path / "turned.png", exif=exif)
    deep = (pixels.astype(np.uint16) * 257)[..., ::-1]
    cv2.imwrite(str(tmp_path / "deep.png"), deep)
    for name in ("turned", "deep"):
        colours = stored([tmp_path / f"{name}.png"])["colours"]
        assert colours[0, 5, 1].tolist() == list(RED), name
        assert colours[0, 5, 8].tolist() == list(RED[::-1]), name


def test_what_is_transparent_is_black_in_every_channel(tmp_path):
    pixels = np.dstack([make_picture(), np.full((8, 10), 255, np.uint8)])
    pixels[:4, :, 3] = 0
    pixels[4, 0, 3] = 127
    Image.fromarray(pixels, "RGBA").save(tmp_path / "p.png")
    colours = stored([tmp_path / "p.png"])["colours"][0]
    assert not colours[1:5].any() and colours[6, 1].tolist() == list(RED)
    raw = np.stack(read_picture(tmp_path / "p.png").colours, axis=-1)[0]
    assert np.abs(raw[4, 0] - np.asarray(RED) / 2).max() < 1


def test_a_window_of_numbers_holds_for_all_three_channels(tmp_path):
    cv2.imwrite(str(tmp_path / "p.png"), make_picture()[..., ::-1])
    colours = stored([tmp_path / "p.png"], window=[20.0, 220.0])["colours"]
    wanted = (np.asarray(RED) - 20) / 200 * 255
    assert np.abs(colours[0, 5, 1] - wanted).max() <= 1


def test_a_jpeg_of_equal_channels_stays_grey_and_one_channel_has_none_to_keep(tmp_path):
    ramp = np.arange(80, dtype=np.uint8).reshape(8, 10) * 3
    Image.fromarray(np.dstack([ramp] * 3)).save(tmp_path / "three.jpg")
    Image.fromarray(ramp).save(tmp_path / "one.jpg")
    for name in ("three", "one"):
        assert read_picture(tmp_path / f"{name}.jpg").colours == ()
        assert "colours" not in stored([tmp_path / f"{name}.jpg"], colour="keep")


def coloured_stack(*, by, share):
    stack = np.full((2, 50, 50, 3), 100, np.uint8)
    stack.reshape(-1, 3)[: round(share * 5000), 0] += by
    return stack


@pytest.mark.parametrize(
    ("by", "share", "shows"),
    [
        (0, 1.0, False),
        (16, 1.0, False),  # a tint that a scan leaves
        (17, 1.0, True),
        (150, 0.009, False),  # a letter, an arrow
        (150, 0.010, True),
    ],
)
def test_a_tint_or_a_speck_makes_no_image_one_in_colour(by, share, shows):
    assert shows_colour(coloured_stack(by=by, share=share)) == shows


def test_of_a_series_with_some_grey_slices_these_are_three_times_their_grey(tmp_path):
    grey = make_picture((90, 90, 90), (90, 90, 90)).astype(np.uint16) * 16
    facts = {"BitsAllocated": 16, "BitsStored": 12, "HighBit": 11}
    second = make_coloured(grey, ImagePositionPatient=[0, 0, 3], SOPInstanceUID="1.2.3.4", **facts)
    first = make_coloured(make_picture().astype(np.uint16) * 16, **facts)
    colours = stored(write(tmp_path / "s", [first, second]))["colours"]
    assert colours.shape == (2, 10, 10, 3)
    flat = colours[:, 5, 1].tolist()
    assert [90, 90, 90] in flat and any(np.abs(np.subtract(one, RED)).max() <= 1 for one in flat)
