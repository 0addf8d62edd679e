"""One pose: a volume is stored the same as DICOM, as enhanced multi-frame and as NIfTI, left is left
and a round disc stays round.
"""

import nibabel
import numpy as np
import pytest
from dicom_builders import make_slice, write
from hypothesis import given, settings
from hypothesis import strategies as st
from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import EnhancedMRImageStorage, generate_uid

from mmdiag.readers.dicom.series import read_series
from mmdiag.readers.imaging.pose import turn_of, turn_of_projection
from mmdiag.sandbox.requests import image

# rows and columns of an acquisition, as they go in the patient (x left, y back, z head)
PLANES = {
    "axial": ([1, 0, 0], [0, 1, 0]),
    "coronal": ([1, 0, 0], [0, 0, -1]),
    "sagittal": ([0, 1, 0], [0, 0, -1]),
    "prone": ([-1, 0, 0], [0, -1, 0]),
    "transposed": ([0, 1, 0], [1, 0, 0]),
    "oblique": ([0.98, 0.199, 0], [-0.199, 0.98, 0]),
}


def head(shape=(12, 24, 20)):
    """Slices, rows and columns with a bright right front, so that every mirror shows."""
    volume = np.random.default_rng(1).integers(0, 40, shape).astype(np.uint16)
    volume[2:7, 3:10, 2:8] += 900
    volume[6:11, 14:21, 11:18] += 400
    return volume + np.arange(shape[0], dtype=np.uint16)[:, None, None] * 20


def item(**facts):
    dataset = Dataset()
    for keyword, value in facts.items():
        setattr(dataset, keyword, value)
    return dataset


def position(plane, gap, number):
    along_row, down_column = map(np.asarray, PLANES[plane])
    return (np.cross(along_row, down_column) * gap * number).round(6).tolist()


def as_dicom(folder, volume, plane, spacing, gap):
    slices = [
        make_slice(
            n,
            SOPInstanceUID=generate_uid(entropy_srcs=[plane, str(n)]),
            Rows=volume.shape[1],
            Columns=volume.shape[2],
            PixelSpacing=list(spacing),
            ImageOrientationPatient=[*PLANES[plane][0], *PLANES[plane][1]],
            ImagePositionPatient=position(plane, gap, n),
            PixelData=volume[n].tobytes(),
        )
        for n in range(len(volume))
    ]
    folder.mkdir(parents=True)
    for number, dataset in enumerate(slices):
        dataset.save_as(folder / f"{7 * number % 13:02d}", enforce_file_format=True)
    return sorted(folder.iterdir())


def as_enhanced(folder, volume, plane, spacing, gap):
    dataset = make_slice(0, SOPClassUID=EnhancedMRImageStorage)
    del dataset.ImagePositionPatient, dataset.ImageOrientationPatient, dataset.PixelSpacing
    order = np.random.default_rng(2).permutation(len(volume)).tolist()
    dataset.NumberOfFrames, (dataset.Rows, dataset.Columns) = len(volume), volume.shape[1:]
    dataset.PixelData = b"".join(volume[n].tobytes() for n in order)
    directions = item(ImageOrientationPatient=[*PLANES[plane][0], *PLANES[plane][1]])
    dataset.SharedFunctionalGroupsSequence = Sequence(
        [
            item(
                PlaneOrientationSequence=Sequence([directions]),
                PixelMeasuresSequence=Sequence([item(PixelSpacing=list(spacing))]),
            )
        ]
    )
    dataset.PerFrameFunctionalGroupsSequence = Sequence(
        [
            item(
                PlanePositionSequence=Sequence([item(ImagePositionPatient=position(plane, gap, n))])
            )
            for n in order
        ]
    )
    return write(folder, [dataset])


def as_nifti(file, volume, plane, spacing, gap, codes):
    """What a converter writes, its axes then brought to any order and direction."""
    along_row, down_column = map(np.asarray, PLANES[plane])
    affine = np.eye(4)
    columns = (along_row * spacing[1], down_column * spacing[0])
    affine[:3, :3] = np.stack([*columns, np.cross(along_row, down_column) * gap], axis=1)
    affine[:2] *= -1  # from LPS to RAS
    made = nibabel.Nifti1Image(volume.transpose(2, 1, 0), affine)
    change = ornt_transform(io_orientation(affine), axcodes2ornt(codes))
    turned = made.as_reoriented(change)
    turned.set_qform(turned.affine, 1)
    turned.set_sform(turned.affine, 1)
    nibabel.save(turned, file)
    return [file]


def stored(files, size=32, slices=64):
    facts, arrays = image(list(map(str, files)), {}, size, slices, (0.0, 1500.0), "accept")
    return arrays["stack"], facts["pose"]


@pytest.mark.parametrize("plane", list(PLANES))
@pytest.mark.parametrize(("spacing", "gap"), [((1, 1), 3), ((1, 1), 1), ((0.5, 1.25), 4)])
def test_a_volume_is_stored_the_same_from_every_kind_of_file(tmp_path, plane, spacing, gap):
    volume = head()
    expected, pose = stored(as_dicom(tmp_path / "dcm", volume, plane, spacing, gap))
    assert np.ptp(expected) > 100 and pose["pixel_mm"] > 0
    others = [as_enhanced(tmp_path / "e", volume, plane, spacing, gap)]
    for codes in ("RAS", "LAS", "LPI", "PIR", "SAL"):
        file = tmp_path / f"{codes}.nii.gz"
        others.append(as_nifti(file, volume, plane, spacing, gap, codes))
    for files in others:
        stack, other = stored(files)
        assert stack.shape == expected.shape, files
        assert np.abs(stack.astype(int) - expected).max() <= 1, files
        assert other["orientation"] == pose["orientation"]
        for name in ("pixel_mm", "slice_mm"):
            assert other[name] == pytest.approx(pose[name], rel=1e-5)


def test_slices_go_as_they_are_looked_at_whatever_the_patient_lay_like(tmp_path):
    volume = head()
    axial, pose = stored(as_dicom(tmp_path / "a", volume, "axial", (1, 1), 3))
    assert pose == {"orientation": "HPL", "side": "", "slice_mm": 3, "pixel_mm": 24 / 32}
    prone, pose = stored(as_dicom(tmp_path / "p", volume[:, ::-1, ::-1], "prone", (1, 1), 3))
    assert np.array_equal(prone, axial) and pose["orientation"] == "HPL"
    orientations = {
        plane: stored(as_dicom(tmp_path / plane, volume, plane, (1, 1), 3))[1]["orientation"]
        for plane in ("coronal", "sagittal")
    }
    assert orientations == {"coronal": "PFL", "sagittal": "RFP"}


def test_a_volume_of_cubes_comes_as_axial_slices_and_slices_are_chosen_afterwards(tmp_path):
    volume = head()
    files = as_dicom(tmp_path / "s", volume, "sagittal", (1, 1), 1)
    stack, pose = stored(files, slices=5)
    assert stack.shape == (5, 32, 32) and pose["orientation"] == "HPL"
    assert pose["slice_mm"] == pytest.approx(23 / 4)
    # sagittal slices from left to right, rows from the head down, columns from the front back
    axial = volume.transpose(1, 2, 0)[::-1, :, ::-1]
    assert np.array_equal(read_series(files, {}, size=32).volume, axial)


def test_a_single_slice_and_one_after_unequal_gaps_stay_what_they_are(tmp_path):
    files = as_dicom(tmp_path / "s", head(), "sagittal", (1, 1), 1)
    assert read_series(files[:1], {}).pose.orientation == "RFP"
    lacking = [file for file in files if file.name not in ("07", "01")]
    found = read_series(lacking, {})
    assert found.missing_slices and found.pose.orientation == "RFP"


@pytest.mark.parametrize("size", [24, 48, 100])
@pytest.mark.parametrize("spacing", [(0.5, 1.0), (1.0, 0.5), (1.7, 0.6)])
def test_a_round_disc_stays_round(tmp_path, spacing, size):
    rows, columns = round(40 / spacing[0]), round(40 / spacing[1])
    y, x = np.mgrid[:rows, :columns]
    distance = np.hypot((y + 0.5) * spacing[0] - 20, (x + 0.5) * spacing[1] - 20)
    volume = np.where(distance < 14, 1400, 0).astype(np.uint16)[None].repeat(3, axis=0)
    stack, _ = stored(as_dicom(tmp_path / "s", volume, "axial", spacing, 5), size=size)
    disc = stack[1] > 110
    tall, wide = (np.ptp(np.flatnonzero(disc.any(axis=axis))) + 1 for axis in (1, 0))
    within = max(1, max(spacing) / (40 / size))  # a pixel of the file
    assert abs(tall - wide) <= within and abs(tall - 0.7 * size) <= 1 + within


def test_the_shape_of_a_pixel_counts_where_its_spacing_is_not_known(tmp_path):
    dataset = make_slice(0, Modality="US", PixelAspectRatio=[4, 3], PixelData=bytes(160))
    del dataset.PixelSpacing, dataset.ImageOrientationPatient, dataset.ImagePositionPatient
    files = write(tmp_path / "s", [dataset])  # 8 rows of 4, 10 columns of 3
    assert read_series(files, {}, size=32).volume.shape == (1, 32, 30)
    assert read_series(files, {}).aspect == pytest.approx(4 / 3)


@pytest.mark.parametrize(
    ("towards", "turned"),
    [
        (["L", "F"], lambda plane: plane),
        (["R", "F"], lambda plane: plane[:, ::-1]),
        (["L", "H"], lambda plane: plane[::-1]),
        (["F", "L"], lambda plane: plane.T),
        (["H", "R"], lambda plane: plane.T[::-1, ::-1]),
        (["A", "H"], lambda plane: plane[::-1]),
        (["A", "F"], lambda plane: plane),
        (["A", "R"], lambda plane: plane),
    ],
)
def test_a_projection_stands_upright_and_its_left_is_left(tmp_path, towards, turned):
    plane = np.arange(80, dtype=np.uint16).reshape(8, 10)
    facts = {"Modality": "DX", "PatientOrientation": towards, "ImageLaterality": "L"}
    dataset = make_slice(0, PixelSpacing=[1, 1], PixelData=plane.tobytes(), **facts)
    del dataset.ImageOrientationPatient, dataset.ImagePositionPatient
    found = read_series(write(tmp_path / "s", [dataset]), {})
    assert np.array_equal(found.volume[0], turned(plane)) and found.pose.side == "L"


def test_a_mammogram_keeps_its_side(tmp_path):
    plane = np.arange(80, dtype=np.uint16).reshape(8, 10)
    facts = {"Modality": "MG", "PatientOrientation": ["P", "R"], "ImageLaterality": "R"}
    dataset = make_slice(0, PixelData=plane.tobytes(), **facts)
    del dataset.ImageOrientationPatient, dataset.ImagePositionPatient
    found = read_series(write(tmp_path / "s", [dataset]), {})
    assert np.array_equal(found.volume[0], plane) and found.pose.side == "R"


def test_an_orientation_that_is_none_turns_nothing():
    for rows, columns in (("", ""), ("L", "L"), ("L", "R"), ("X", "F"), ("H", "F")):
        turn = turn_of_projection(rows, columns)
        assert turn.axes == (0, 1, 2) and turn.backward == (False, False, False)


@settings(max_examples=200, deadline=None)
@given(
    angles=st.tuples(*[st.floats(-40, 40)] * 3),
    order=st.permutations(range(3)),
    signs=st.tuples(*[st.sampled_from([-1.0, 1.0])] * 3),
)
def test_the_nearest_axes_are_those_that_nibabel_finds(angles, order, signs):
    a, b, c = np.radians(angles) / 2
    turn_x = np.asarray([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    turn_y = np.asarray([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    turn_z = np.asarray([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    directions = (turn_x @ turn_y @ turn_z)[list(order)] * np.asarray(signs)[:, None]
    affine = np.eye(4)
    affine[:3, :3] = directions.T * np.asarray([[-1], [-1], [1]])  # from LPS to RAS
    found = turn_of(directions, (1.0, 1.0, 1.0))
    # nibabel: of each axis, which of R, A, S it goes along and whether forward
    axes, forward = io_orientation(affine).T
    expected = tuple(int(np.flatnonzero(axes == along)[0]) for along in (2, 1, 0))
    assert found.axes == expected and found.orientation == "HPL"
    assert found.backward == tuple(
        bool(forward[axis] != way) for axis, way in zip(expected, (1, -1, -1), strict=True)
    )
