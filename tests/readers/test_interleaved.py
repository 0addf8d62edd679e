"""Volumes whose slices lie between each other's are no stack; slices that were measured in passes
are one.
"""

import pytest
from dicom_builders import make_enhanced, make_slice
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import CTImageStorage, generate_uid

from mmdiag.errors import ReadError
from mmdiag.readers.dicom.series import read_series

CT = {
    "Modality": "CT",
    "SOPClassUID": CTImageStorage,
    "RescaleSlope": "1",
    "RescaleIntercept": "0",
}


def stack(positions, **facts):
    """Slices of one volume."""
    return [
        make_slice(
            n, ImagePositionPatient=[0, 0, z], SOPInstanceUID=generate_uid(), **facts, value=n
        )
        for n, z in enumerate(positions)
    ]


def read(folder, slices):
    folder.mkdir()
    for number, dataset in enumerate(slices):
        dataset.save_as(folder / f"{number:03}.dcm", enforce_file_format=True)
    return read_series(sorted(folder.iterdir()), {})


def refused(folder, slices, said):
    with pytest.raises(ReadError, match=said) as refusal:
        read(folder, slices)
    return refusal.value.code


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([0, 3, 6, 9], [1.5, 4.5, 7.5, 10.5]),  # half a gap between them
        ([0, 3, 6, 9], [8, 11, 14, 17]),  # their ends overlap
        ([0, 3, 6, 9], [0.02, 3.02, 6.02, 9.02]),
    ],
)
@pytest.mark.parametrize(
    ("one", "other"),
    [
        (CT | {"AcquisitionNumber": 1}, CT | {"AcquisitionNumber": 2}),
        ({"TemporalPositionIdentifier": 1}, {"TemporalPositionIdentifier": 2}),
        ({"DiffusionBValue": 0.0}, {"DiffusionBValue": 1000.0}),
        ({}, {"EchoTime": "80"}),
    ],
)
def test_volumes_between_each_others_slices_are_refused(tmp_path, first, second, one, other):
    slices = [*stack(first, **one), *stack(second, **other)]
    said = f"lie between each other|differ in {list(other)[-1]}"
    assert refused(tmp_path / "s", slices, said) == "several_volumes"


def test_positions_that_shake_are_those_of_time_points_even_where_times_alone_tell(tmp_path):
    slices = [
        dataset
        for point in range(3)
        for dataset in stack(
            [3 * n + 0.02 * point for n in range(4)], AcquisitionTime=f"10000{point}"
        )
    ]
    assert refused(tmp_path / "s", slices, "3 values of AcquisitionTime") == "several_volumes"


@pytest.mark.parametrize(
    "facts",
    [
        lambda n: CT | {"AcquisitionNumber": n, "AcquisitionTime": f"1000{n:02}"},
        lambda n: CT | {"AcquisitionNumber": n // 4, "AcquisitionTime": f"1000{n // 4:02}"},
        lambda n: CT | {"AcquisitionNumber": 2 if 4 <= n < 7 else 1},  # a part measured again
        lambda n: {"AcquisitionTime": f"1000{n % 2:02}", "TriggerTime": str(n % 2)},
        lambda n: {"AcquisitionNumber": n % 2, "SliceThickness": "2.5"},
        lambda n: {"AcquisitionNumber": n % 2, "SpacingBetweenSlices": "3"},
    ],
)
def test_one_volume_is_read_in_whatever_order_it_was_measured(tmp_path, facts):
    slices = [make_slice(n, **facts(n)) for n in range(12)]
    assert read(tmp_path / "s", slices).slices == 12


def enhanced(positions, groups):
    """One file; of each frame a sequence of its functional groups -> what its item says."""
    dataset = make_enhanced(positions)
    for frame, said in zip(dataset.PerFrameFunctionalGroupsSequence, groups, strict=True):
        for sequence, facts in said.items():
            item = Dataset()
            for keyword, value in facts.items():
                setattr(item, keyword, value)
            setattr(frame, sequence, Sequence([item]))
    return dataset


@pytest.mark.parametrize(
    ("sequence", "keyword", "values"),
    [
        ("FrameContentSequence", "StackID", ("1", "2")),
        ("FrameContentSequence", "TemporalPositionIndex", (1, 2)),
        ("MRDiffusionSequence", "DiffusionBValue", (0.0, 1000.0)),
    ],
)
def test_volumes_of_frames_between_each_other_are_refused(tmp_path, sequence, keyword, values):
    groups = [{sequence: {keyword: values[n // 4]}} for n in range(8)]
    between = enhanced([0, 3, 6, 9, 1.5, 4.5, 7.5, 10.5], groups)
    assert refused(tmp_path / "s", [between], f"2 values of {keyword}") == "several_volumes"
    after = enhanced([0, 3, 6, 9, 12, 15, 18, 21], groups)
    assert read(tmp_path / "t", [after]).slices == 8


def typed(*types):
    groups = [{"CTImageFrameTypeSequence": {"FrameType": list(kind)}} for kind in types]
    return enhanced([3 * n for n in range(len(types))], groups)


def test_frames_of_a_localizer_or_of_several_types_are_no_stack(tmp_path):
    plain = ("ORIGINAL", "PRIMARY", "AXIAL", "NONE")
    localizer, map_ = (*plain[:2], "LOCALIZER", "NONE"), (*plain[:3], "ENERGY_PROP_WT")
    assert read(tmp_path / "plain", [typed(*[plain] * 4)]).slices == 4
    said = "1 of 4 frames"
    assert refused(tmp_path / "a", [typed(*[plain] * 3, localizer)], said) == "localizer"
    said = "2 values of FrameType"
    assert refused(tmp_path / "b", [typed(*[plain] * 2, *[map_] * 2)], said) == "several_volumes"
