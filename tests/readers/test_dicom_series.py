"""DICOM: physical order, units and grey levels are right for every kind of file, and what is wrong
gets its reason code.
"""

import numpy as np
import pytest
from deidentify_builders import as_header
from dicom_builders import SERIES, make_enhanced, make_pet, make_slice, write
from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)

from mmdiag.deidentify.header import identifiers_of
from mmdiag.errors import ReadError
from mmdiag.privacy.dicom_attributes import PATIENT_ATTRIBUTES, header_identifiers
from mmdiag.readers.dicom import volume
from mmdiag.readers.dicom.series import check_file, read_series, series_descriptions
from mmdiag.readers.dicom.volume import HEAD, heads_of
from mmdiag.readers.imaging.resample import to_stored


def refusal(call) -> str:
    with pytest.raises(ReadError, match=r"\w+") as refused:
        call()
    return refused.value.code


def test_slices_come_in_the_order_of_their_positions_whatever_the_files_are_called(tmp_path):
    series = read_series(write(tmp_path / "s", [make_slice(n) for n in (4, 0, 2, 1, 3)]), {})
    assert series.volume[:, 0, 0].tolist() == [0, 10, 20, 30, 40]
    assert (
        series.gap_mm == 3
        and series.spacing_mm == (0.5, 0.7)
        and series.files == 5
        and series.missing_slices == 0
    )


def test_a_gap_and_a_tilted_gantry_are_counted_and_measured(tmp_path):
    with_gap = read_series(write(tmp_path / "gap", [make_slice(n) for n in (0, 1, 2, 5, 6, 7)]), {})
    assert with_gap.missing_slices == 2 and with_gap.gap_mm == 3
    tilted = [
        make_slice(n, ImagePositionPatient=[0, n * 3 * np.tan(np.radians(15)), 3 * n])
        for n in range(4)
    ]
    assert read_series(write(tmp_path / "tilt", tilted), {}).tilt_degrees == pytest.approx(15)


def test_only_the_series_that_is_selected_is_read(tmp_path):
    other = make_slice(
        7,
        SeriesDescription="T1 POST",
        SeriesInstanceUID=generate_uid(entropy_srcs=["t1"]),
        EchoTime="12.5",
    )
    files = write(tmp_path / "s", [make_slice(0), make_slice(1), other])
    assert read_series(files, {"SeriesDescription": "flair"}).files == 2
    assert read_series(files, {"SeriesDescription": "T1*"}).files == 1
    assert read_series(files, {"EchoTime": "12.5"}).files == 1, "any keyword of DICOM selects"
    assert read_series(files, {"SeriesDescription": "DWI"}) is None
    assert series_descriptions(files) == {"FLAIR", "T1 POST"}
    assert refusal(lambda: read_series(files, {})) == "several_series"


def test_a_description_in_another_character_set_is_selected_by_its_letters(tmp_path):
    files = write(
        tmp_path / "s",
        [make_slice(0, SpecificCharacterSet="ISO_IR 100", SeriesDescription="Schädel nativ")],
    )
    assert read_series(files, {"SeriesDescription": "schädel*"}).files == 1


def test_localizers_are_left_out_and_counted(tmp_path):
    localizer = make_slice(
        9,
        ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"],
        ImageOrientationPatient=[0, 1, 0, 0, 0, -1],
    )
    series = read_series(write(tmp_path / "s", [make_slice(0), make_slice(1), localizer]), {})
    assert series.files == 2 and series.localizers == 1
    assert refusal(lambda: read_series(write(tmp_path / "only", [localizer]), {})) == "localizer"


def test_rescale_is_applied_and_monochrome1_is_inverted(tmp_path):
    ct = make_slice(0, value=1000, Modality="CT", RescaleSlope="2", RescaleIntercept="-1024")
    assert read_series(write(tmp_path / "ct", [ct]), {}).volume.max() == 976
    pixels = np.zeros((8, 10), np.uint16)
    pixels[0, 0] = 100
    inverted = [
        make_slice(
            n, PhotometricInterpretation="MONOCHROME1", PixelData=(pixels * (n + 1)).tobytes()
        )
        for n in range(2)
    ]
    series = read_series(write(tmp_path / "m1", inverted), {})
    assert series.inverted and series.volume[:, 0, 0].tolist() == [100, 200], (
        "values stay what they are: what is inverted is how they are shown"
    )
    stack = to_stored(series.volume, 10, 2, window=(0.0, 255.0), inverted=series.inverted).stack
    assert stack[:, 1, 1].tolist() == [255, 255] and stack[:, 1, 0].tolist() == [155, 55]
    assert stack[0, 0].tolist() == [0] * 10, "what lies beside the image is black all the same"


def test_the_slope_of_each_slice_is_its_own(tmp_path):
    slices = [
        make_slice(n, value=10, Modality="CT", RescaleSlope=str(n + 1), RescaleIntercept="0")
        for n in range(3)
    ]
    assert read_series(write(tmp_path / "s", slices), {}).volume[:, 0, 0].tolist() == [10, 20, 30]


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless, JPEGLSLossless])
def test_a_compressed_series_reads_like_the_plain_one(tmp_path, syntax):
    plain, packed = [_large(n) for n in range(3)], [_large(n) for n in range(3)]
    for dataset in packed:
        if syntax == JPEGLSLossless:
            dataset.file_meta.TransferSyntaxUID = syntax
            _encode_jpeg_ls(dataset)
        else:
            dataset.compress(syntax, generate_instance_uid=False)
    assert np.array_equal(
        read_series(write(tmp_path / "a", plain), {}).volume,
        read_series(write(tmp_path / "b", packed), {}).volume,
    )


def _large(number: int) -> Dataset:
    plane = np.arange(64 * 64).reshape(64, 64) % 4096 // (number + 1)
    return make_slice(number, Rows=64, Columns=64, PixelData=plane.astype(np.uint16).tobytes())


def _encode_jpeg_ls(dataset: Dataset) -> None:
    import jpeg_ls
    from pydicom.encaps import encapsulate

    plane = np.frombuffer(dataset.PixelData, np.uint16).reshape(64, 64)
    dataset.PixelData = encapsulate([bytes(jpeg_ls.encode_array(plane))])
    dataset["PixelData"].VR, dataset["PixelData"].is_undefined_length = "OB", True


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]
)
def test_every_plain_transfer_syntax_gives_the_same_values(tmp_path, syntax):
    ramp = (np.arange(80).reshape(8, 10) * 11).astype(np.uint16)
    dataset = make_slice(
        0,
        syntax=syntax,
        PixelData=ramp.astype(">u2" if syntax == ExplicitVRBigEndian else "<u2").tobytes(),
    )
    assert np.array_equal(read_series(write(tmp_path / "s", [dataset]), {}).volume[0], ramp)


def test_signed_values_and_bits_beyond_those_stored_are_read_as_what_they_are(tmp_path):
    values = np.asarray([-5, -1, 0, 7] * 20, np.int16).reshape(8, 10)
    signed = make_slice(0, PixelRepresentation=1, PixelData=values.tobytes())
    assert np.array_equal(read_series(write(tmp_path / "signed", [signed]), {}).volume[0], values)
    overlay = (np.full((8, 10), 100, np.uint16) | 0x8000).tobytes()
    assert np.array_equal(
        read_series(write(tmp_path / "overlay", [make_slice(0, PixelData=overlay)]), {}).volume[0],
        np.full((8, 10), 100),
    )


def test_colour_is_luminance_in_both_planar_configurations_and_through_a_palette(tmp_path):
    pixels = np.zeros((8, 10, 3), np.uint8)
    pixels[..., 1] = 200
    facts = {
        "PhotometricInterpretation": "RGB",
        "SamplesPerPixel": 3,
        "BitsAllocated": 8,
        "BitsStored": 8,
        "HighBit": 7,
        "Modality": "OT",
    }
    by_pixel = make_slice(0, PlanarConfiguration=0, PixelData=pixels.tobytes(), **facts)
    by_plane = make_slice(
        0, PlanarConfiguration=1, PixelData=pixels.transpose(2, 0, 1).tobytes(), **facts
    )
    for name, dataset in (("pixel", by_pixel), ("plane", by_plane)):
        assert read_series(write(tmp_path / name, [dataset]), {}).volume[0, 3, 3] == pytest.approx(
            0.587 * 200
        )
    palette = make_slice(
        0,
        PhotometricInterpretation="PALETTE COLOR",
        BitsAllocated=8,
        BitsStored=8,
        HighBit=7,
        PixelData=bytes([1] * 80),
    )
    for colour, level in (("Red", 0), ("Green", 200), ("Blue", 0)):
        setattr(palette, f"{colour}PaletteColorLookupTableDescriptor", [2, 0, 8])
        setattr(palette, f"{colour}PaletteColorLookupTableData", bytes([9, level]))
    assert read_series(write(tmp_path / "palette", [palette]), {}).volume[0, 3, 3] == pytest.approx(
        0.587 * 200
    )


def test_an_enhanced_file_is_ordered_and_rescaled_by_its_functional_groups(tmp_path):
    series = read_series(write(tmp_path / "shared", [make_enhanced([6, 0, 3])]), {})
    assert (
        series.volume[:, 0, 0].tolist() == [-8, -6, -10]
        and series.gap_mm == 3
        and series.spacing_mm == (0.5, 0.7)
        and series.slices == 3
    )
    own = read_series(write(tmp_path / "own", [make_enhanced([0, 3], slopes=[1, 5])]), {})
    assert own.volume[:, 0, 0].tolist() == [-10, -5]


def test_a_cine_loop_without_positions_keeps_its_order(tmp_path):
    loop = make_slice(
        0,
        Modality="US",
        NumberOfFrames=3,
        PixelData=b"".join(np.full((8, 10), n, np.uint16).tobytes() for n in (5, 3, 4)),
    )
    del loop.ImagePositionPatient, loop.ImageOrientationPatient
    assert read_series(write(tmp_path / "s", [loop]), {}).volume[:, 0, 0].tolist() == [5, 3, 4]


def test_pet_is_in_standardised_uptake_values(tmp_path):
    series = read_series(write(tmp_path / "s", [make_pet(0), make_pet(1)]), {})
    decayed = 3.5e8 * 2 ** (-3600 / 6588)
    assert series.volume[0, 0, 0] == pytest.approx(1000 * 70_000 / decayed, rel=1e-5)
    assert (
        refusal(lambda: read_series(write(tmp_path / "w", [make_pet(0, PatientWeight="")]), {}))
        == "no_suv"
    )
    assert (
        refusal(lambda: read_series(write(tmp_path / "u", [make_pet(0, Units="CNTS")]), {}))
        == "no_suv"
    )
    assert (
        refusal(lambda: read_series(write(tmp_path / "l", [make_pet(0, SeriesTime="080000")]), {}))
        == "no_suv"
    )


def broken(name: str) -> list[Dataset]:
    slices = [make_slice(n) for n in range(3)]
    changes = {
        "missing_rescale": {"Modality": "CT"},
        "unknown_photometric": {"PhotometricInterpretation": "ARGB"},
        "mixed_geometry": {"ImageOrientationPatient": [0, 1, 0, 0, 0, 1]},
        "duplicate_slice": {"ImagePositionPatient": [0, 0, 6]},
        "patient_mismatch": {"PatientID": "p2"},
        "too_large": {"NumberOfFrames": 2_000_000_000},
        "truncated": {"PixelData": slices[1].PixelData[:-40]},
        "unreadable": {"BitsAllocated": 12},
    }
    if name == "missing_geometry":
        del slices[1].ImagePositionPatient
    elif name == "no_pixel_data":
        for dataset in slices:
            del dataset.PixelData
    for keyword, value in changes.get(name, {}).items():
        setattr(slices[1], keyword, value)
    return slices


@pytest.mark.parametrize(
    "code",
    [
        "missing_rescale",
        "unknown_photometric",
        "missing_geometry",
        "mixed_geometry",
        "duplicate_slice",
        "patient_mismatch",
        "truncated",
        "too_large",
        "unreadable",
        "no_pixel_data",
    ],
)
def test_what_is_wrong_with_a_series_gets_its_code(tmp_path, code):
    with pytest.raises(ReadError, match=code) as refused:
        read_series(write(tmp_path / "s", broken(code)), {})
    assert refused.value.code == code and "p2" not in str(refused.value)


def test_slices_of_different_spacing_are_not_one_series(tmp_path):
    files = write(tmp_path / "s", [make_slice(0), make_slice(1, PixelSpacing=[0.9, 0.7])])
    assert refusal(lambda: read_series(files, {})) == "mixed_geometry"


def test_a_codestream_of_another_size_than_the_header_says_is_not_decoded(tmp_path):
    dataset = _large(0)
    dataset.compress(JPEG2000Lossless, generate_instance_uid=False)
    dataset.Rows, dataset.Columns = 128, 32
    assert (
        refusal(lambda: read_series(write(tmp_path / "s", [dataset]), {})) == "undecodable_pixels"
    )


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"<html></html>", "not_dicom"),
        (b"", "not_dicom"),
        (b"\0" * 128 + b"DICM" + b"\x02\x00\x10", "truncated"),
    ],
)
def test_what_is_no_dicom_file_is_said(tmp_path, content, code):
    files = write(tmp_path / "s", [make_slice(0)])
    files[0].write_bytes(content)
    assert refusal(lambda: read_series(files, {})) == code == refusal(lambda: check_file(files[0]))


def test_slices_are_brought_to_size_as_they_are_read_and_all_are_checked(tmp_path):
    slices = [make_slice(n) for n in range(9)]
    series = read_series(write(tmp_path / "s", slices), {}, size=5, slices=3)
    assert series.volume.shape == (3, 3, 5) and series.volume[:, 0, 0].tolist() == [0, 40, 80]
    assert (series.slices, series.rows, series.columns) == (9, 8, 10), (
        "what the file has is said of the file"
    )
    slices[1].PixelData = slices[1].PixelData[:-2]
    assert (
        refusal(lambda: read_series(write(tmp_path / "t", slices), {}, size=5, slices=3))
        == "truncated"
    ), "also where it is not kept"


def test_a_file_that_is_alone_is_read_at_once_and_means_what_it_means_among_others(
    tmp_path, monkeypatch
):
    side = {"Rows": 200, "Columns": 200, "PixelData": bytes(range(200)) * 400}
    files = write(
        tmp_path / "s", [make_slice(n, BitsStored=16, HighBit=15, **side) for n in (0, 1)]
    )
    (together, _), ((alone,), _) = heads_of(files), heads_of(files[:1])
    assert len(alone[1].scan.content) == files[0].stat().st_size
    assert len(together[0][1].scan.content) == HEAD < files[0].stat().st_size
    assert alone[1].scan.elements == together[0][1].scan.elements
    at_once = read_series(files[:1], {})
    monkeypatch.setattr(volume, "WHOLE", HEAD)  # one that is too large for that
    by_its_head = read_series(files[:1], {})
    assert (at_once.volume == by_its_head.volume).all() and at_once.volume.max() > 0


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
@pytest.mark.parametrize("keyword", PATIENT_ATTRIBUTES)
def test_every_attribute_that_identifies_a_patient_is_read_for_masking(keyword, syntax, tmp_path):
    planted = "19510203" if dictionary_VR(keyword) == "DA" else "Doe^Zelda"
    dataset = make_slice(0, syntax=syntax)
    if dictionary_VR(keyword) == "SQ":
        item = Dataset()
        item.PatientID = planted
        setattr(dataset, keyword, Sequence([item]))
    else:
        setattr(dataset, keyword, planted)
    series = read_series(
        write(tmp_path / "s", [dataset]), {}, attributes=[*PATIENT_ATTRIBUTES, "StudyDate"]
    )
    assert series.attributes[keyword] == (planted,) and "StudyDate" not in series.attributes
    assert planted in header_identifiers(series.attributes)
    assert identifiers_of(as_header(dataset)) == header_identifiers(series.attributes)


def test_the_series_uid_is_what_makes_a_series(tmp_path):
    files = write(tmp_path / "s", [make_slice(0), make_slice(1, SeriesInstanceUID=SERIES[:-1])])
    assert refusal(lambda: read_series(files, {"SeriesDescription": "FLAIR"})) == "several_series"


def test_what_a_later_file_of_a_series_says_counts_as_well(tmp_path):
    slices = [
        make_slice(0, BurnedInAnnotation="NO"),
        make_slice(1, BurnedInAnnotation="YES", OtherPatientIDs="MRN-4711"),
        make_slice(2, BurnedInAnnotation="NO"),
    ]
    keywords = ["BurnedInAnnotation", "OtherPatientIDs", "PatientID"]
    series = read_series(write(tmp_path / "s", slices), {}, attributes=keywords)
    assert series.attributes == {
        "BurnedInAnnotation": ("NO", "YES"),
        "OtherPatientIDs": ("MRN-4711",),
        "PatientID": ("p1",),
    }
