"""Folders of images as they come from Macs and CDs, and what the store keeps of how an image lies."""

import nibabel
import numpy as np
import pytest
from dicom_builders import make_slice
from pydicom.uid import generate_uid

import mmdiag
from mmdiag.readers.clutter import left_by_a_system
from mmdiag.storage.store import Store
from mmdiag.workspace import Workspace

SYSTEM = {
    ".DS_Store": b"\0\0\0\1Bud1",
    "._IM0000": b"\0\5\x16\7",
    "Thumbs.db": b"\xd0\xcf\x11\xe0",
    "desktop.ini": b"[.ShellClassInfo]",
    "__MACOSX/IM0000": b"\0\5\x16\7",
}
CD = {"README.TXT": b"Open the viewer.", "viewer.exe": b"MZ", "DICOMDIR": b"an index"}


def write_series(folder, seed):
    folder.mkdir()
    for n in range(4):
        pixels = np.random.default_rng(10 * seed + n).integers(0, 900, (20, 16)).astype(np.uint16)
        make_slice(
            n,
            SOPInstanceUID=generate_uid(entropy_srcs=[str(seed), str(n)]),
            SeriesInstanceUID=generate_uid(entropy_srcs=[str(seed)]),
            PatientID=folder.name,
            Rows=20,
            Columns=16,
            PixelSpacing=[1, 1],
            ImageLaterality="R",
            PixelData=pixels.tobytes(),
        ).save_as(folder / f"IM{n:04d}", enforce_file_format=True)


@pytest.fixture
def cohort(tmp_path):
    for number, case in enumerate(("a", "b", "c")):
        write_series(tmp_path / case, number)
    for name, content in {**SYSTEM, **CD}.items():
        (tmp_path / "a" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "a" / name).write_bytes(content)
    (tmp_path / "b" / "IM0004").write_bytes(b"")
    volume = np.random.default_rng(5).integers(0, 900, (16, 20, 5)).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(volume, np.diag([2, 2, 5, 1])), tmp_path / "a.nii.gz")
    (tmp_path / "cases.csv").write_text("id\na\nb\nc\n")
    (tmp_path / "cohort.toml").write_text(
        '[cohort]\nname = "f"\n[cases]\ntable = "cases.csv"\ncase_id = "id"\n'
        '[modalities.mr]\nkind = "image"\npath = "{id}"\nsize = 40\n'
        '[modalities.nii]\nkind = "image"\npath = "{id}.nii.gz"\nsize = 40\n'
    )
    return mmdiag.Cohort.open(tmp_path / "cohort.toml", workspace=tmp_path / "w")


def test_clutter_costs_no_series_is_named_and_makes_no_new_version(cohort, tmp_path):
    cohort.ingest()
    assert cohort.image("mr", "a").shape == cohort.image("mr", "c").shape == (4, 40, 40)
    refused = cohort.quarantine.set_index(["case_id", "modality"])
    assert refused.loc[("b", "mr"), "code"] == "not_dicom", "an empty slice is a lost slice"
    poses = cohort.poses("mr")
    assert set(poses.loc["a", "left_out"].split(", ")) == set(CD)
    assert poses.loc["c"].to_dict() == {
        "orientation": "HPL",
        "side": "R",
        "slice_mm": 3.0,
        "pixel_mm": 0.5,
        "left_out": "",
    }
    assert cohort.poses("nii").loc["a", ["slice_mm", "pixel_mm"]].tolist() == [5.0, 1.0]
    store = Store.open(Workspace(tmp_path / "w"), "f")
    row = store.cases["case_id"].tolist().index("c")
    own = store.poses("mr", [row]).set_index("case_id")
    assert own.index.tolist() == ["c"] and own.loc["c"].equals(poses.loc["c"])
    assert store.poses("mr", []).empty
    (tmp_path / "c" / ".DS_Store").write_bytes(b"somebody looked")
    assert cohort.ingest()["cases"]["new"] == 0


def test_a_workspace_from_before_poses_were_kept_says_nothing_of_them(cohort, tmp_path):
    cohort.ingest()
    for file in (tmp_path / "w").rglob("poses.parquet"):
        file.unlink()
    poses = cohort.poses("mr")
    assert poses["orientation"].tolist() == [""] * 2 and poses["pixel_mm"].isna().all()


@pytest.mark.parametrize("name", ["x/.DS_Store", "x/._a.dcm", "@eaDir/a.dcm", "THUMBS.DB"])
def test_what_a_system_leaves_is_told_by_its_name(tmp_path, name):
    assert left_by_a_system((tmp_path / name).relative_to(tmp_path))
    assert not left_by_a_system((tmp_path / "x" / "thumbs").relative_to(tmp_path))
