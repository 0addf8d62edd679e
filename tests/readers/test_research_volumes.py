"""NRRD, MetaImage and MGH: the volume that nibabel makes of the same numbers, or a refusal of what it
is; a header that lies, or leads elsewhere, is believed in nothing.
"""

import gzip
import itertools
import struct
from datetime import date

import nibabel
import numpy as np
import pytest
from dicom_builders import make_slice
from dicom_builders import write as write_series
from volume_builders import SPACES, TYPES, write_metaimage, write_mgh, write_nrrd

from mmdiag.errors import ReadError
from mmdiag.readers.detached import data_files, without_data_files
from mmdiag.readers.embedded_dates import volume_day
from mmdiag.readers.imaging.research import read_volume
from mmdiag.reasons import REASONS

RNG = np.random.default_rng(5)
SIGNS = np.asarray([-1.0, -1.0, 1.0])


def numbers(kind, shape=(6, 5, 4)):
    """Numbers of a type, among them negative ones where it has some."""
    values = RNG.integers(0, 120, shape) - (50 if kind[0] != "u" else 0)
    return (values + (0.25 if kind[0] == "f" else 0)).astype(kind)


def axes(number):
    """Columns along which three axes of an array go, in mm: each a turn of the patient's own."""
    order = list(itertools.permutations(range(3)))[number % 6]
    lps = np.zeros((3, 3))
    for axis, (along, length) in enumerate(zip(order, (1.0, 1.25, 1.5), strict=True)):
        lps[along, axis] = length * (-1 if number >> axis & 1 else 1)
    return lps


def by_nibabel(values, lps):
    """The same volume in the pose of the store: slices from the feet, rows from the front, columns
    from the right.
    """
    affine = np.eye(4)
    affine[:3, :3] = lps * SIGNS[:, None]
    image = nibabel.as_closest_canonical(nibabel.Nifti1Image(values.astype(np.float64), affine))
    return np.asarray(image.dataobj).transpose(2, 1, 0)[:, ::-1, ::-1], image.header.get_zooms()


def require_same(file, values, lps):
    found = read_volume(file)
    expected, lengths = by_nibabel(values, lps)
    assert np.array_equal(found.volume, expected.astype(np.float32)), file.name
    assert found.pose.orientation == "HPL"
    assert found.pose.lengths_mm == pytest.approx(lengths[::-1])


def test_an_nrrd_is_what_nibabel_makes_of_its_numbers_however_it_is_written(tmp_path):
    forms = itertools.product(TYPES, ("raw", "gzip"), "<>")
    for number, (kind, encoding, order) in enumerate(forms):
        values, lps = numbers(kind), axes(number)
        detached = f"v{number}.raw" if number % 3 == 0 else ""
        file = tmp_path / f"v{number}.{'nhdr' if detached else 'nrrd'}"
        write_nrrd(
            file,
            values,
            lps,
            space=list(SPACES)[number % 3],
            encoding=encoding,
            order=order,
            data=detached,
            skip=16 if encoding == "raw" and number % 2 else 0,
            end="\r\n" if number % 5 == 4 else "\n",
            keys="# a comment\nname:=value: with colon" if number % 4 == 1 else "",
        )
        require_same(file, values, lps)
    assert number >= 20
    file = write_nrrd(
        tmp_path / "cm.nrrd", values, lps / 10, fields={"space units": '"cm" "cm" "cm"'}
    )
    require_same(file, values, lps)
    file = write_nrrd(tmp_path / "end.nhdr", values, lps, data="end.raw", skip=7)
    file.write_text(file.read_text().replace("byte skip: 7", "byte skip: -1"))
    require_same(file, values, lps)


def test_a_metaimage_is_what_nibabel_makes_of_its_numbers_however_it_is_written(tmp_path):
    for number, (kind, compressed, order) in enumerate(
        itertools.product(TYPES, (False, True), "<>")
    ):
        values, lps = numbers(kind), axes(number)
        data = f"v{number}.raw" if number % 3 == 0 else "LOCAL"
        file = tmp_path / f"v{number}.{'mha' if data == 'LOCAL' else 'mhd'}"
        head = 12 if data != "LOCAL" and not compressed else 0
        write_metaimage(
            file, values, lps, order=order, compressed=compressed, data=data, head_bytes=head
        )
        require_same(file, values, lps)
    assert number >= 20
    for unit, factor in (("cm", 10), ("um", 0.001), ("?", 1)):
        file = write_metaimage(
            tmp_path / "unit.mha", values, lps / factor, tags={"DistanceUnits": unit}
        )
        require_same(file, values, lps)


def test_an_mgh_is_what_nibabel_makes_of_its_numbers_however_it_is_written(tmp_path):
    for number, (kind, end) in enumerate(
        itertools.product(("u1", "i2", "i4", "f4") * 3, ("mgh", "mgz"))
    ):
        values, lps = numbers(kind), axes(number)
        file = write_mgh(tmp_path / f"v{number}.{end}", values, lps, tail=bytes(20) * (number % 2))
        require_same(file, values, lps)
    assert number >= 20


def test_one_volume_is_the_same_in_five_forms_within_a_grey_level(tmp_path):
    from mmdiag.sandbox.image_request import image

    y, x, z = np.mgrid[:40, :48, :10]
    stored = np.where((y - 12) ** 2 + (x - 30) ** 2 < 60, 900, 100 + 5 * x + 3 * z).astype(np.int16)
    volume = stored.transpose(
        2, 0, 1
    )  # slices from the feet, rows to the back, columns to the left
    lps = np.diag([0.9, 1.1, 4.0])
    values = volume.transpose(2, 1, 0)
    affine = np.diag([*(np.diag(lps) * SIGNS), 1.0])
    nifti = nibabel.Nifti1Image(values, affine)
    nifti.set_sform(affine, 1)
    nibabel.save(nifti, tmp_path / "v.nii.gz")
    slices = [
        make_slice(
            number,
            Rows=40,
            Columns=48,
            PixelSpacing=[1.1, 0.9],
            ImagePositionPatient=[0, 0, 4 * number],
            PixelData=plane.astype(np.uint16).tobytes(),
        )
        for number, plane in enumerate(volume)
    ]
    files = {
        "nifti": [tmp_path / "v.nii.gz"],
        "dicom": write_series(tmp_path / "dicom", slices),
        "nrrd": [write_nrrd(tmp_path / "v.nrrd", values, lps, encoding="gzip")],
        "metaimage": [
            write_metaimage(tmp_path / "v.mhd", values, lps, data="v.raw"),
            tmp_path / "v.raw",
        ],
        "mgh": [write_mgh(tmp_path / "v.mgz", values, lps)],
    }
    read = {}
    for name, paths in files.items():
        reply, arrays = image(list(map(str, paths)), {}, 64, 8, "auto", "refuse")
        read[name] = (arrays["stack"].astype(int), reply["pose"], reply["display"])
    stack, pose, display = read["nifti"]
    assert stack.shape == (8, 64, 64) and stack.std() > 10
    for name, (other, other_pose, other_display) in read.items():
        assert other.shape == stack.shape and np.abs(other - stack).max() <= 1, name
        assert other_pose == pytest.approx(pose, abs=1e-4), name
        for key in ("orientation", "slice_mm", "row_mm", "column_mm", "array_slices"):
            assert other_display[key] == pytest.approx(display[key], abs=1e-4), (name, key)


VALUES, LPS = numbers("i2"), axes(0)
FOUR = np.stack([VALUES, VALUES], axis=-1)
COLOURS = np.stack([VALUES] * 3)
MASK = (VALUES > 0).astype("u1")


def metaimage(tags, values=VALUES):
    """What writes a MetaImage with other tags."""
    return lambda file: write_metaimage(file, values, LPS, tags=tags)


def nrrd(fields, values=VALUES):
    """What writes an NRRD with other fields."""
    return lambda file: write_nrrd(file, values, LPS, fields=fields)


@pytest.mark.parametrize(
    ("code", "name", "write"),
    [
        ("several_volumes", "v.nrrd", nrrd({"kinds": "domain domain domain list"}, FOUR)),
        ("not_one_value", "v.nrrd", nrrd({"kinds": "RGB-color domain domain domain"}, COLOURS)),
        ("not_one_value", "v.nrrd", nrrd({"kinds": "vector domain domain domain"}, COLOURS)),
        (
            "segmentation",
            "v.seg.nrrd",
            lambda f: write_nrrd(f, VALUES, LPS, keys="Segment0_ID:=liver"),
        ),
        ("segmentation", "v.nrrd", lambda f: write_nrrd(f, MASK, LPS)),
        ("missing_geometry", "v.nrrd", nrrd({"space": ""})),
        ("missing_geometry", "v.nrrd", nrrd({"space": "scanner-xyz"})),
        ("missing_geometry", "v.nrrd", nrrd({"space directions": "", "spacings": "1 1 1"})),
        ("missing_geometry", "v.nrrd", nrrd({"space units": '"furlong"'})),
        (
            "missing_geometry",
            "v.nrrd",
            lambda f: write_nrrd(
                f, VALUES[..., 0], LPS, fields={"space directions": "(1,0,0) (0,1,0)"}
            ),
        ),
        ("missing_geometry", "v.nrrd", lambda f: write_nrrd(f, VALUES, np.ones((3, 3)))),
        ("unreadable", "v.nrrd", nrrd({"encoding": "bzip2"})),
        ("unreadable", "v.nrrd", nrrd({"endian": ""})),
        ("several_volumes", "v.mha", metaimage({"TransformMatrix": "1 0 0 0 1 0 0 0 1"}, FOUR)),
        ("not_one_value", "v.mha", metaimage({"ElementNumberOfChannels": "3"})),
        ("segmentation", "v.mha", lambda f: write_metaimage(f, MASK, LPS)),
        ("missing_geometry", "v.mha", metaimage({"TransformMatrix": ""})),
        ("missing_geometry", "v.mha", metaimage({"ElementSpacing": ""})),
        ("unreadable", "v.mha", metaimage({"BinaryData": "False"})),
        ("unreadable", "v.mha", metaimage({"ObjectType": "Tube"})),
        ("several_volumes", "v.mgz", lambda f: write_mgh(f, FOUR, LPS)),
        ("missing_geometry", "v.mha", metaimage({"DistanceUnits": "furlong"})),
        ("unreadable", "v.mha", metaimage({"ElementByteOrderMSB": "True"})),
        ("unreadable", "v.nrrd", nrrd({"old min": "-1024", "old max": "3071"})),
        ("missing_geometry", "v.mgh", lambda f: write_mgh(f, VALUES, LPS, good=0)),
        ("segmentation", "v.mgz", lambda f: write_mgh(f, MASK, LPS)),
        (
            "segmentation",
            "v.mgz",
            lambda f: write_mgh(f, VALUES, LPS, tail=bytes(20) + struct.pack(">i", 1) + bytes(99)),
        ),
    ],
)
def test_what_is_no_volume_of_single_values_is_refused_as_what_it_is(tmp_path, code, name, write):
    with pytest.raises(ReadError) as refusal:
        read_volume(write(tmp_path / name))
    assert refusal.value.code == code and code in REASONS and name in str(refusal.value)


def cut(write, **how):
    def torn(file):
        write(file, VALUES, LPS, **how)
        file.write_bytes(file.read_bytes()[:-9])
        return file

    return torn


def elsewhere(write, named, key):
    def named_so(file):
        secret = file.parent.parent / "secret.raw"
        secret.write_bytes(VALUES.tobytes())
        (file.parent / "link.raw").symlink_to(secret)
        return write(file, VALUES, LPS, **{key: {named[0]: named[1]}})

    return named_so


def bomb(file):
    """A small file that says little and inflates to much."""
    head = write_nrrd(file, VALUES, LPS).read_bytes().split(b"\n\n")[0]
    file.write_bytes(
        head.replace(b"encoding: raw", b"encoding: gzip") + b"\n\n" + gzip.compress(bytes(2**25))
    )
    return file


@pytest.mark.parametrize(
    ("code", "name", "write"),
    [
        ("truncated", "v.nrrd", cut(write_nrrd)),
        ("truncated", "v.nrrd", cut(write_nrrd, encoding="gzip")),
        ("truncated", "v.mha", cut(write_metaimage)),
        ("truncated", "v.mha", cut(write_metaimage, compressed=True)),
        ("truncated", "v.mgh", cut(write_mgh)),
        ("truncated", "v.mgz", cut(write_mgh)),
        ("truncated", "v.nrrd", nrrd({"sizes": "6 5 40"})),
        ("truncated", "v.mha", metaimage({"DimSize": "6 5 40"})),
        (
            "truncated",
            "v.mha",
            lambda f: write_metaimage(
                f, VALUES, LPS, compressed=True, tags={"CompressedDataSize": "999999999999"}
            ),
        ),
        ("unreadable", "v.nrrd", nrrd({"sizes": "6 5 3"})),
        ("unreadable", "v.nrrd", nrrd({"sizes": "6 5"})),
        ("unreadable", "v.nrrd", nrrd({"sizes": "6 5 -4"})),
        ("too_large", "v.nrrd", nrrd({"sizes": "99999 99999 99999"})),
        ("too_large", "v.mha", metaimage({"DimSize": "99999 99999 9999"})),
        (
            "too_large",
            "v.mgh",
            lambda f: (
                write_mgh(f, np.zeros((0, 5, 4), "i2"), LPS)
                and f.write_bytes(
                    struct.pack(">7ih", 1, 9999, 9999, 9999, 1, 4, 0, 1).ljust(284, b"\0")
                )
                and f
            ),
        ),
        ("unreadable", "v.mgh", lambda f: write_mgh(f, VALUES, LPS, version=7)),
        ("unreadable", "v.nrrd", bomb),
        ("unreadable", "v.nrrd", lambda f: f.write_bytes(b"NRRD0009\n\n") and f),
        ("unreadable", "v.mha", lambda f: f.write_bytes(bytes(400)) and f),
        ("truncated", "v.mgz", lambda f: f.write_bytes(gzip.compress(b"")) and f),
        (
            "unreadable",
            "v.nrrd",
            lambda f: write_nrrd(f, VALUES, LPS, keys="content: a\rdata file: /etc/passwd"),
        ),
        ("outside_root", "v.nhdr", elsewhere(write_nrrd, ("data file", "../secret.raw"), "fields")),
        ("outside_root", "v.nhdr", elsewhere(write_nrrd, ("data file", "link.raw"), "fields")),
        ("outside_root", "v.nhdr", elsewhere(write_nrrd, ("data file", "/etc/passwd"), "fields")),
        ("missing_data", "v.nhdr", elsewhere(write_nrrd, ("data file", "other.raw"), "fields")),
        ("several_volumes", "v.nhdr", elsewhere(write_nrrd, ("data file", "LIST"), "fields")),
        (
            "several_volumes",
            "v.nhdr",
            elsewhere(write_nrrd, ("data file", "v.%03d.raw 1 4 1"), "fields"),
        ),
    ],
)
def test_a_torn_or_lying_volume_is_refused_with_the_reason(tmp_path, code, name, write):
    folder = tmp_path / "data"
    folder.mkdir()
    with pytest.raises(ReadError) as refusal:
        read_volume(write(folder / name))
    assert refusal.value.code == code and code in REASONS and "secret" not in str(refusal.value)


@pytest.mark.parametrize(
    ("named", "code"),
    [
        ("../secret.raw", "outside_root"),
        ("link.raw", "outside_root"),
        ("/etc/passwd", "outside_root"),
        ("LIST", "several_volumes"),
        ("no.raw", "missing_data"),
    ],
)
def test_a_metaimage_reads_no_file_outside_its_folder(tmp_path, named, code):
    folder = tmp_path / "data"
    folder.mkdir()
    (tmp_path / "secret.raw").write_bytes(VALUES.tobytes())
    (folder / "link.raw").symlink_to(tmp_path / "secret.raw")
    file = write_metaimage(folder / "v.mhd", VALUES, LPS, data="v.raw")
    file.write_text(file.read_text().replace("v.raw", named))
    with pytest.raises(ReadError) as refusal:
        read_volume(file)
    assert refusal.value.code == code and data_files(file) == ()


def test_a_data_file_belongs_to_the_header_that_names_it(tmp_path):
    header = write_metaimage(tmp_path / "v.mhd", VALUES, LPS, data="v.raw")
    other = write_nrrd(tmp_path / "w.nrrd", VALUES, LPS)
    data = tmp_path / "v.raw"
    assert data_files(header) == (data,) and data_files(other) == () and data_files(data) == ()
    assert without_data_files([header, data, other]) == [header, other]


def test_a_volume_says_in_its_header_or_beside_it_when_it_was_acquired(tmp_path):
    day = date(2021, 3, 2)
    nrrd = write_nrrd(tmp_path / "v.nrrd", VALUES, LPS, keys="AcquisitionDate:=20210302")
    meta = write_metaimage(tmp_path / "v.mha", VALUES, LPS, tags={"AcquisitionDate": "20210302"})
    mgh = write_mgh(tmp_path / "w.mgz", VALUES, LPS)
    assert volume_day(nrrd) == volume_day(meta) == day and volume_day(mgh) is None
    (tmp_path / "w.json").write_text('{"AcquisitionDate": "2021-03-02"}')
    assert volume_day(mgh) == day
