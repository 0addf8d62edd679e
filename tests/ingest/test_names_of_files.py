"""People are found in names of files and folders: none of them reaches the workspace or the screen,
whatever is wrong with the file.
"""

import os
from pathlib import Path

import pytest
from table_builders import KEYS, rows, write_cohort

from mmdiag.cli import boundary, cli

PLANTED = ("Zzplanted", "7712345", "1951-02-03")
FOLDERS = [f"Maria Zzplanted {number}" for number in range(12)]
MODALITIES = """
[modalities.note]
kind = "text"
path = "{folder}/*.txt"
[modalities.ct]
kind = "image"
path = "{folder}/ct"
[modalities.photo]
kind = "image"
path = "{folder}/*.png"
[modalities.ecg]
kind = "signal"
path = "{folder}/*.csv"
rate_hz = 100
[modalities.variants]
kind = "table"
path = "{folder}/*.vcf"
"""
VCF = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"


def spoil(folder: Path, number: int) -> None:
    """One folder of a person, where something is wrong with each file, or with some."""
    (folder / "ct").mkdir(parents=True)
    name = "Zzplanted_7712345_1951-02-03"
    for suffix, content in {
        ".txt": b"\x00\x01\x02" * 40 if number else b"A lesion was seen on the left side of it.",
        ".png": b"\x89PNG\r\n\x1a\n" + b"torn" * 30,
        ".csv": b"time,I\n0,one\n",
        ".vcf": (VCF + ("1\tx\t.\tA\tC\t.\t.\t.\n" if number else "")).encode(),
    }.items():
        (folder / f"{name}{suffix}").write_bytes(content)
    (folder / "ct" / f"{name}.dcm").write_bytes(b"\x00" * 128 + b"DICM" + b"torn" * 50)
    if number == 3:
        os.mkfifo(folder / f"{name}_b.txt")
    if number == 4:
        (folder / f"{name}_b.txt").symlink_to("/etc/hostname")
    if number == 5:
        (folder / f"{name}_b.txt").symlink_to(folder / "Zzplanted nowhere")


def test_no_name_of_a_file_is_written_or_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = rows({"a": [str(number) for number in range(12)]})
    cohort = write_cohort(tmp_path / "c", table, MODALITIES, cases={"folder": FOLDERS})
    for number, folder in enumerate(FOLDERS):
        spoil(tmp_path / "c" / folder, number)
    asked = ["--workspace", str(tmp_path / "w")]
    assert boundary.run(cli, ["ingest", "--cohort", str(cohort), *asked]) == boundary.IN_QUARANTINE
    assert boundary.run(cli, ["quarantine", "list", *asked]) == boundary.DONE
    for key in KEYS[1:6]:
        boundary.run(cli, ["quarantine", "show", key, *asked])
    said = capsys.readouterr()
    written = b"".join(path.read_bytes() for path in (tmp_path / "w").rglob("*") if path.is_file())
    names = "\n".join(map(str, (tmp_path / "w").rglob("*")))
    for word in PLANTED:
        assert word not in said.out + said.err, word
        assert word.encode() not in written and word not in names, word
    assert "its file (.png)" in said.out
