"""Hostile DICOM files with planted identifiers come out of de-identification without them."""

import shutil

from deidentify_builders import forms
from repository import SHARED

from mmdiag.deidentify.folder import deidentify_folder

HOSTILE = SHARED / "data/torture/dicom_hostile"
KEY = bytes(range(32))


def test_the_hostile_files_with_planted_identifiers_come_out_clean(tmp_path):
    (tmp_path / "in").mkdir()
    for file in HOSTILE.glob("s130*.dcm"):
        shutil.copy(file, tmp_path / "in")
    found = deidentify_folder(tmp_path / "in", tmp_path / "out", KEY)
    assert found.dicom + found.copies + len(found.refused) == 2 and found.dicom == 1
    for file in (tmp_path / "out").rglob("*.dcm"):
        assert not [
            form
            for secret in ("ZZPLANTED", "19010203", "555-0100")
            for form in forms(secret)
            if form in file.read_bytes()
        ]
