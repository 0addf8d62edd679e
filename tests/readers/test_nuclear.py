"""Frames of nuclear medicine are one stack where they differ in their slice alone."""

import numpy as np
import pytest
from dicom_builders import make_slice, write
from pydicom.uid import NuclearMedicineImageStorage

from mmdiag.errors import ReadError
from mmdiag.readers.dicom.series import read_series


def nuclear(frames, **facts):
    """One file whose frame n has the value n."""
    dataset = make_slice(
        0,
        Modality="NM",
        SOPClassUID=NuclearMedicineImageStorage,
        NumberOfFrames=frames,
        PixelData=b"".join(np.full((8, 10), n, np.uint16).tobytes() for n in range(frames)),
        **facts,
    )
    del dataset.ImagePositionPatient, dataset.ImageOrientationPatient
    return dataset


@pytest.mark.parametrize(
    ("slices", "order"),
    [([1, 2, 3, 4], [0, 1, 2, 3]), ([4, 3, 2, 1], [3, 2, 1, 0]), ([2, 4, 1, 3], [2, 0, 3, 1])],
)
def test_slices_stand_in_the_order_of_their_numbers(tmp_path, slices, order):
    one = {"EnergyWindowVector": [1] * 4, "DetectorVector": [1] * 4}
    files = write(tmp_path / "s", [nuclear(4, SliceVector=slices, **one)])
    assert read_series(files, {}).volume[:, 0, 0].tolist() == order


@pytest.mark.parametrize(
    "facts",
    [
        {"TimeSlotVector": [1, 2, 1, 2], "SliceVector": [1, 1, 2, 2]},
        {"EnergyWindowVector": [1, 2, 3, 4]},
        {"DetectorVector": [1, 1, 2, 2]},
        {"AngularViewVector": [1, 2, 3, 4]},
        {"PhaseVector": [1, 1, 2, 2], "TimeSliceVector": [1, 2, 1, 2]},
        {"SliceVector": [1, 2, 1, 2]},
    ],
)
def test_gates_energies_heads_and_angles_are_no_slices(tmp_path, facts):
    with pytest.raises(ReadError, match=r"value.* of \w+Vector") as refused:
        read_series(write(tmp_path / "s", [nuclear(4, **facts)]), {})
    assert refused.value.code == "several_volumes"


def test_slice_numbers_are_as_many_as_frames(tmp_path):
    with pytest.raises(ReadError, match="3 values for 4 frames") as refused:
        read_series(write(tmp_path / "s", [nuclear(4, SliceVector=[1, 2, 3])]), {})
    assert refused.value.code == "unreadable"
