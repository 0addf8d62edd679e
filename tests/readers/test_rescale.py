"""Stored values become values in the unit of their modality, or a series is refused."""

import numpy as np
import pytest
from dicom_builders import make_enhanced, make_slice, write
from pydicom.uid import RTDoseStorage

from mmdiag.errors import ReadError
from mmdiag.readers.dicom.series import read_series


def dose(scaling, stored=1000):
    plane = np.full((8, 10), stored, np.uint16)
    return make_slice(
        0,
        Modality="RTDOSE",
        SOPClassUID=RTDoseStorage,
        BitsStored=16,
        HighBit=15,
        NumberOfFrames=2,
        GridFrameOffsetVector=[0, 3],
        PixelData=plane.tobytes() * 2,
        **({} if scaling is None else {"DoseGridScaling": scaling}),
    )


def test_dose_is_in_its_unit_whatever_its_grid_was_scaled_by(tmp_path):
    for number, (scaling, stored) in enumerate((("0.01", 2000), ("0.005", 4000))):
        files = write(tmp_path / str(number), [dose(scaling, stored)])
        assert read_series(files, {}).volume == pytest.approx(20)


@pytest.mark.parametrize("scaling", [None, "0", "-1"])
def test_dose_whose_scale_is_not_stated_is_refused(tmp_path, scaling):
    with pytest.raises(ReadError, match="DoseGridScaling") as refused:
        read_series(write(tmp_path / "s", [dose(scaling)]), {})
    assert refused.value.code == "missing_rescale"


def test_a_series_of_which_some_slices_alone_state_a_rescale_is_refused(tmp_path):
    scaled = {"RescaleSlope": "4", "RescaleIntercept": "0"}
    slices = [make_slice(n, **({} if n == 2 else scaled)) for n in range(5)]
    with pytest.raises(ReadError, match="4 of 5 slices state") as refused:
        read_series(write(tmp_path / "some", slices), {})
    assert refused.value.code == "missing_rescale"
    frames = make_enhanced([0, 3, 6], slopes=[2, 2, 2])
    frames.Modality = "MR"
    del frames.PerFrameFunctionalGroupsSequence[1].PixelValueTransformationSequence
    with pytest.raises(ReadError, match="2 of 3 slices state"):
        read_series(write(tmp_path / "frames", [frames]), {})


def test_a_rescale_that_changes_nothing_need_not_be_on_every_slice(tmp_path):
    scaled = {"RescaleSlope": "1", "RescaleIntercept": "0"}
    slices = [make_slice(n, **({} if n == 2 else scaled)) for n in range(5)]
    found = read_series(write(tmp_path / "s", slices), {})
    assert found.volume[:, 0, 0].tolist() == [0, 10, 20, 30, 40]


def test_values_of_a_map_in_functional_groups_are_no_ct_numbers(tmp_path):
    for number, (unit, hounsfield) in enumerate((("HU", True), ("US", True), ("MGML", False))):
        frames = make_enhanced([0, 3, 6])
        shared = frames.SharedFunctionalGroupsSequence[0]
        shared.PixelValueTransformationSequence[0].RescaleType = unit
        found = read_series(write(tmp_path / str(number), [frames]), {})
        assert found.hounsfield is hounsfield


def test_slices_of_several_quantities_are_several_volumes(tmp_path):
    frames = make_enhanced([0, 3, 6], slopes=[1, 1, 1])
    group = frames.PerFrameFunctionalGroupsSequence[1]
    group.PixelValueTransformationSequence[0].RescaleType = "Z_EFF"
    with pytest.raises(ReadError, match="RescaleType") as refused:
        read_series(write(tmp_path / "s", [frames]), {})
    assert refused.value.code == "several_volumes"
