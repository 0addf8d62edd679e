"""What is shown of DICOM pixels is what the file says: windows, tables, sigmoids, inversion and
padding, held against pydicom.
"""

import numpy as np
import pytest
from dicom_builders import make_enhanced, make_pet, make_slice, write
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_rescale, apply_voi_lut
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian, RLELossless

from mmdiag.errors import ReadError
from mmdiag.readers.dicom.series import read_series
from mmdiag.sandbox.requests import image

RAMP = (np.arange(100).reshape(10, 10) * 40).astype(np.uint16)
SQUARE = {"Rows": 10, "Columns": 10, "PixelSpacing": [1, 1], "SOPInstanceUID": "1.2.3"}


def item(**facts):
    dataset = Dataset()
    for keyword, value in facts.items():
        setattr(dataset, keyword, value)
    return dataset


def ramp(number=0, pixels=RAMP, **facts):
    return make_slice(number, PixelData=pixels.tobytes(), **(SQUARE | facts))


def shown(folder, *datasets, window="voi", size=10):
    """What the store would keep."""
    facts, arrays = image(
        list(map(str, write(folder, list(datasets)))), {}, size, 8, window, "accept"
    )
    return arrays["stack"], facts["facts"]


def by_pydicom(dataset):
    """Grey levels by pydicom's own functions, 0 to 255."""
    values = apply_rescale(dataset.pixel_array, dataset)
    with np.errstate(over="ignore"):
        grey = np.asarray(apply_voi_lut(values, dataset), np.float64)
    if dataset.get("VOILUTSequence"):
        top = 2 ** dataset.VOILUTSequence[0].LUTDescriptor[2] - 1
        return grey / top * 255
    # pydicom's output covers the range that the stored values could have
    slope, intercept = (
        float(dataset.get("RescaleSlope", 1)),
        float(dataset.get("RescaleIntercept", 0)),
    )
    low, high = ((0, 2**12 - 1), (-(2**11), 2**11 - 1))[dataset.PixelRepresentation]
    low, high = low * slope + intercept, high * slope + intercept
    return (grey - low) / (high - low) * 255


@settings(max_examples=60, deadline=None)
@given(
    centre=st.floats(-500, 4500),
    width=st.floats(2, 5000),
    function=st.sampled_from(["", "LINEAR", "LINEAR_EXACT", "SIGMOID"]),
    slope=st.sampled_from([1.0, 0.5, 2.0]),
    intercept=st.sampled_from([0.0, -1024.0]),
    signed=st.booleans(),
    white=st.booleans(),
)
def test_a_window_gives_the_grey_levels_that_pydicom_gives(
    tmp_path_factory, centre, width, function, slope, intercept, signed, white
):
    facts = {"WindowCenter": f"{centre:.3f}", "WindowWidth": f"{width:.3f}"}
    facts |= {"RescaleSlope": str(slope), "RescaleIntercept": str(intercept)}
    facts |= {"PixelRepresentation": int(signed)} | (
        {"VOILUTFunction": function} if function else {}
    )
    pixels = (RAMP.astype(np.int16) // 2 - 900) if signed else RAMP
    dataset = ramp(pixels=pixels, **facts)
    expected = by_pydicom(dataset)
    if white:
        dataset.PhotometricInterpretation, expected = "MONOCHROME1", 255 - expected
    stack, _ = shown(tmp_path_factory.mktemp("s"), dataset)
    assert np.abs(stack[0] - expected).max() <= 1


@pytest.mark.parametrize("function", ["LINEAR", "SIGMOID"])
@pytest.mark.parametrize("signed", [False, True])
def test_the_same_picture_in_both_photometric_interpretations_is_stored_alike(
    tmp_path, function, signed
):
    centre, width = (1000, 1301)
    pixels = RAMP.astype(np.int16) - 1000 if signed else RAMP
    mirrored = (-1 - pixels) if signed else (4095 - pixels)
    # of LINEAR the middle lies half a value below the centre (C.11.2.1.2.1)
    other = (-1 if signed else 4095) - centre + (function == "LINEAR")
    facts = {"WindowWidth": str(width), "VOILUTFunction": function, "PixelRepresentation": signed}
    facts["PixelRepresentation"] = int(signed)
    two, _ = shown(tmp_path / "2", ramp(pixels=pixels, WindowCenter=str(centre), **facts))
    one, _ = shown(
        tmp_path / "1",
        ramp(
            pixels=mirrored,
            WindowCenter=str(other),
            PhotometricInterpretation="MONOCHROME1",
            **facts,
        ),
    )
    assert np.abs(one.astype(int) - two).max() <= 1 and np.ptp(two) > 200
    facts = {"PixelRepresentation": int(signed)}
    plain, _ = shown(tmp_path / "a2", ramp(pixels=pixels, **facts), window="auto")
    turned = ramp(pixels=mirrored, PhotometricInterpretation="MONOCHROME1", **facts)
    assert np.abs(shown(tmp_path / "a1", turned, window="auto")[0].astype(int) - plain).max() <= 1


def table(first=100, count=2000, bits=12, **facts):
    data = np.linspace(0, 1, count) ** 2 * (2**bits - 1)
    lut = item()
    lut.add_new(0x0028_3002, "US", [count, first, bits])
    lut.add_new(0x0028_3006, "US", data.round().astype(int).tolist())
    return ramp(VOILUTSequence=Sequence([lut]), **facts)


@pytest.mark.parametrize("syntax", [None, ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_a_table_of_values_of_interest_counts_before_a_window(tmp_path, syntax):
    dataset = table(WindowCenter="40", WindowWidth="400")
    expected = by_pydicom(dataset)
    if syntax is not None:
        dataset.file_meta.TransferSyntaxUID = syntax
        if syntax == ExplicitVRBigEndian:
            dataset.PixelData = RAMP.astype(">u2").tobytes()
    stack, facts = shown(tmp_path / "s", dataset)
    assert np.abs(stack[0] - expected).max() <= 1
    assert (facts["low"], facts["high"]) == (100, 2099)


def test_a_table_of_eight_bits_with_many_entries_and_one_of_negative_values_are_read(tmp_path):
    coarse = table(first=0, count=4000, bits=8)
    expected = (np.clip(RAMP / 3999, 0, 1) ** 2 * 255).round()
    assert np.abs(shown(tmp_path / "s", coarse)[0][0] - expected).max() <= 1
    facts = {"RescaleSlope": "1", "RescaleIntercept": "-1024", "Modality": "CT"}
    below = table(first=-1024 % 65536, count=4096, **facts)
    expected = (np.clip(RAMP / 4095, 0, 1) ** 2 * 255).round()
    assert np.abs(shown(tmp_path / "n", below)[0][0] - expected).max() <= 1


def voi_groups(dataset, windows, *, shared=False):
    """Put a window of each frame, or one for all, into the functional groups."""
    if shared:
        group = dataset.SharedFunctionalGroupsSequence[0]
        group.FrameVOILUTSequence = Sequence([item(**windows[0])])
    else:
        for group, window in zip(dataset.PerFrameFunctionalGroupsSequence, windows, strict=True):
            group.FrameVOILUTSequence = Sequence([item(**window)])
    return dataset


def test_the_window_of_an_enhanced_file_lies_in_its_groups(tmp_path):
    planes = [RAMP, RAMP // 2, RAMP // 3]
    windows = [
        {"WindowCenter": "1500", "WindowWidth": "900"},
        {"WindowCenter": "700", "WindowWidth": "900", "VOILUTFunction": "SIGMOID"},
        {"WindowCenter": ["300", "40"], "WindowWidth": ["600", "400"]},
    ]
    single = [ramp(n, planes[n], **windows[n]) for n in range(3)]
    expected, _ = shown(tmp_path / "single", *single)

    def enhanced():
        dataset = make_enhanced([0, 3, 6], shared_slope=1.0)
        transform = dataset.SharedFunctionalGroupsSequence[0].PixelValueTransformationSequence[0]
        transform.RescaleIntercept = "0"
        dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing = [1, 1]
        dataset.Modality, dataset.Rows, dataset.Columns = "MR", 10, 10
        dataset.PixelData = b"".join(plane.tobytes() for plane in planes)
        return dataset

    assert np.array_equal(shown(tmp_path / "own", voi_groups(enhanced(), windows))[0], expected)
    one = voi_groups(enhanced(), windows[:1], shared=True)
    alike = [ramp(n, planes[n], **windows[0]) for n in range(3)]
    assert np.array_equal(shown(tmp_path / "one", one)[0], shown(tmp_path / "alike", *alike)[0])
    above = enhanced()
    above.WindowCenter, above.WindowWidth = "1500", "900"
    assert np.array_equal(shown(tmp_path / "above", above)[0], shown(tmp_path / "one", one)[0])
    plain = shown(tmp_path / "none", enhanced())[0]
    assert np.array_equal(plain, shown(tmp_path / "auto", enhanced(), window="auto")[0])


@pytest.mark.parametrize(
    "facts",
    [
        {"WindowCenter": "40", "WindowWidth": "0"},
        {"WindowCenter": "40", "WindowWidth": "0.5"},
        {"WindowCenter": "40"},
        {"WindowCenter": "40", "WindowWidth": "400", "VOILUTFunction": "CUBIC"},
    ],
)
def test_a_window_that_means_nothing_is_refused_where_it_was_asked_for(tmp_path, facts):
    with pytest.raises(ReadError, match="bad_window"):
        shown(tmp_path / "s", ramp(**facts))
    assert shown(tmp_path / "auto", ramp(**facts), window="auto")[0].max() == 255


def test_a_window_on_some_slices_only_is_refused(tmp_path):
    asked = ramp(1, WindowCenter="40", WindowWidth="400")
    with pytest.raises(ReadError, match=r"bad_window: 1 of 2 slices"):
        shown(tmp_path / "s", ramp(0), asked)


@pytest.mark.parametrize(
    ("photometric", "shape"), [("MONOCHROME1", "IDENTITY"), ("MONOCHROME2", "INVERSE")]
)
def test_a_shape_that_contradicts_the_photometric_interpretation_is_refused(
    tmp_path, photometric, shape
):
    dataset = ramp(PhotometricInterpretation=photometric, PresentationLUTShape=shape)
    with pytest.raises(ReadError, match=r"unknown_photometric: .*contradicts"):
        shown(tmp_path / "s", dataset)


def test_slices_that_are_shown_in_two_ways_are_no_series(tmp_path):
    with pytest.raises(ReadError, match=r"unknown_photometric: .*differ"):
        shown(tmp_path / "s", ramp(0), ramp(1, PhotometricInterpretation="MONOCHROME1"))


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("signed", [False, True])
def test_padding_decides_no_contrast_and_is_black(tmp_path, photometric, packed, signed):
    pixels = RAMP.astype(np.int16 if signed else np.uint16) // 4 + 100
    pixels[:, :3] = -2000 if signed else 63_536
    facts = {
        "PixelRepresentation": int(signed),
        "BitsStored": 16,
        "HighBit": 15,
        "PhotometricInterpretation": photometric,
        "PixelPaddingValue": -2000 if signed else 63_536,
    }
    dataset = ramp(pixels=pixels, **facts)
    if packed:
        dataset.compress(RLELossless, generate_instance_uid=False)
    stack, found = shown(tmp_path / "s", dataset, window="auto")
    assert (stack[0, :, :3] == 0).all() and np.ptp(stack[0, :, 3:]) == 255
    assert found["low"] >= 100 and found["high"] <= 1100


def test_padding_is_a_range_where_a_limit_is_given_and_its_vr_does_not_matter(tmp_path):
    pixels = RAMP // 4 + 100
    pixels[:, 0], pixels[:, 1] = 4000, 4095
    dataset = ramp(pixels=pixels, PixelPaddingValue=4095, PixelPaddingRangeLimit=4000)
    stack, found = shown(tmp_path / "s", dataset, window="auto")
    assert (stack[0, :, :2] == 0).all() and found["high"] <= 1100
    signed = RAMP.astype(np.int16) // 4
    signed[:, :3] = -2000
    wrong = ramp(pixels=signed, PixelRepresentation=1, BitsStored=16, HighBit=15)
    wrong.add_new(0x0028_0120, "US", 63_536)
    assert shown(tmp_path / "w", wrong, window="auto")[1]["low"] >= 0


def test_padding_has_no_share_in_the_pixels_beside_it(tmp_path):
    pixels = np.full((20, 20), 500, np.uint16)
    pixels[:, :7] = 4095
    pixels[10:, 7:] = 600
    dataset = ramp(pixels=pixels, PixelPaddingValue=4095, Rows=20, Columns=20)
    series = read_series(write(tmp_path / "s", [dataset]), {}, size=10)
    assert np.nanmax(series.volume) == 600 and np.isnan(series.volume[0, :, :3]).all()
    assert not np.isnan(series.volume[0, :, 3:]).any()


def in_units_of_a_table():
    lut = item(ModalityLUTType="US")
    lut.add_new(0x0028_3002, "US", [4096, 0, 16])
    lut.add_new(0x0028_3006, "OW", np.arange(4096, dtype="<u2").tobytes())
    return ramp(ModalityLUTSequence=Sequence([lut]))


def floating(value):
    dataset = ramp()
    del dataset.PixelData
    del dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation
    dataset.BitsAllocated, dataset.FloatPixelData = 32, np.full(100, value, "<f4").tobytes()
    return dataset


@pytest.mark.parametrize(
    ("dataset", "voi", "measured"),
    [
        (ramp(), False, True),
        (ramp(Modality="CT", RescaleSlope="2", RescaleIntercept="-1024"), True, True),
        (ramp(PixelPaddingValue=40), False, False),
        (ramp(WindowCenter="100", WindowWidth="50"), True, False),
        (ramp(RescaleSlope="1e34", RescaleIntercept="0"), False, False),
        (table(), True, False),
        (in_units_of_a_table(), False, False),
        (floating(np.nan), False, False),
        (make_pet(0), False, False),
    ],
    ids=[
        "plain",
        "rescaled",
        "padding",
        "window",
        "large slope",
        "table",
        "units by a table",
        "floating",
        "PET",
    ],
)
def test_nobody_looks_for_missing_values_only_where_the_header_leaves_none(
    tmp_path, dataset, voi, measured
):
    series = read_series(write(tmp_path / "s", [dataset]), {}, voi=voi)
    assert series.measured == measured
    assert not (measured and np.isnan(series.volume).any())


def test_maps_of_another_quantity_are_not_shown_as_hounsfield_units(tmp_path):
    facts = {"Modality": "CT", "RescaleSlope": "0.01", "RescaleIntercept": "0"}
    zeff = ramp(RescaleType="Z_EFF", **facts)
    assert np.ptp(shown(tmp_path / "z", zeff, window="auto")[0]) == 255
    hounsfield = shown(tmp_path / "h", ramp(RescaleType="HU", **facts), window="auto")[1]
    assert (hounsfield["low"], hounsfield["high"]) == (-1000, 1000)


@pytest.mark.parametrize(
    "keyword",
    [
        "SamplesPerPixel",
        "PhotometricInterpretation",
        "BitsAllocated",
        "BitsStored",
        "PixelRepresentation",
    ],
)
def test_an_attribute_of_type_1_is_not_guessed(tmp_path, keyword):
    dataset = ramp()
    delattr(dataset, keyword)
    with pytest.raises(ReadError, match=f"missing_attribute: .*{keyword}"):
        shown(tmp_path / "s", dataset)
    without = ramp()
    del without.HighBit
    assert shown(tmp_path / "high", without)[0].max() == 255, "it can only be BitsStored - 1"


def test_colours_whose_order_nobody_tells_are_refused(tmp_path):
    facts = {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "BitsAllocated": 8}
    facts |= {"BitsStored": 8, "HighBit": 7}
    dataset = ramp(pixels=np.zeros((10, 10, 3), np.uint8), **facts)
    with pytest.raises(ReadError, match=r"missing_attribute: .*PlanarConfiguration"):
        shown(tmp_path / "s", dataset)
