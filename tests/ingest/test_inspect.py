"""An archive is refused as what it is, whatever its name; files that are compressed for their own
sake are read.
"""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from mmdiag.ingest.inspect import inspect


def zipped():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.csv", "id,x\n1,2\n")
    return buffer.getvalue()


def tarred():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a.csv"))
    return buffer.getvalue()


ARCHIVES = {
    "study.zip": (zipped(), "zip archive"),
    "report.odt": (zipped(), "zip archive"),
    "without_suffix": (zipped(), "zip archive"),
    "study.tar": (tarred(), "tar archive"),
    "study.tar.gz": (gzip.compress(tarred()), "gzip"),
    "IM0001.gz": (gzip.compress(b"x"), "gzip"),
    "study.tar.bz2": (bz2.compress(tarred()), "bzip2"),
    "study.tar.xz": (lzma.compress(tarred()), "xz"),
    "study.7z": (b"7z\xbc\xaf\x27\x1c" + bytes(40), "7-Zip"),
    "study.rar": (b"Rar!\x1a\x07\x01\x00" + bytes(40), "RAR"),
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_an_archive_is_refused_as_what_it_is(tmp_path, name):
    content, form = ARCHIVES[name]
    (tmp_path / name).write_bytes(content)
    (verdict,) = inspect([tmp_path])
    assert (verdict["kind"], verdict["verdict"], verdict["code"]) == (
        "archive",
        "quarantined",
        "archive",
    )
    assert form in verdict["detail"] and name in verdict["detail"]


def test_a_file_that_is_neither_is_no_dicom_file(tmp_path):
    (tmp_path / "IM0001").write_bytes(b"plain words" * 60)
    (verdict,) = inspect([tmp_path])
    assert verdict["code"] == "not_dicom"


def test_an_embedding_is_read_to_the_end_as_one(tmp_path):
    np.save(tmp_path / "good.npy", np.ones((3, 4)))
    np.save(tmp_path / "nan.npy", np.full((3, 4), np.nan))
    np.savez(tmp_path / "good.npz", features=np.ones(4))
    (tmp_path / "torn.safetensors").write_bytes(bytes(20))
    found = {Path(one["path"]).name: (one["kind"], one["code"]) for one in inspect([tmp_path])}
    assert found == {
        "good.npy": ("embedding", ""),
        "good.npz": ("embedding", ""),
        "nan.npy": ("embedding", "embedding_numbers"),
        "torn.safetensors": ("embedding", "unreadable"),
    }
