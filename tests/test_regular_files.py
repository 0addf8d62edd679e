"""Names of files are shown where they can be nobody's, and else by their ending and number."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmdiag.regular_files import file_shown, without_file_names

PLAIN = [
    "IM0004.dcm",
    "slice_003.dcm",
    "000017",
    "c0012_flair.nii.gz",
    "IMG-0001-00003.dcm",
    "im2.dcm",
    "scan",
    "1-01.dcm",
    "c0012.txt",
    "DICOMDIR",
    "c0012.vcf.gz",
    "T1w.nii",
    "report.docx",
    "I1",
    "c0012-T2-ax-012.png",
]
SOMEBODYS = [
    "Maria_Zzplanted.dcm",
    "Li_T2.nii",
    "Wu.txt",
    "510203.dcm",
    "MRN7712345.dcm",
    "1951-02-03.txt",
    "02031951.txt",
    "3.2.51.txt",
    "c0012_Maria.nii.gz",
    "mueller.txt",
    "7712345",
    "1.2.840.113619.2.55.dcm",
    "李明.dcm",
    "Zoë.txt",
]


@pytest.mark.parametrize("name", PLAIN)
def test_a_name_of_scanners_words_and_counters_is_shown(name: str) -> None:
    assert file_shown(Path("/data") / name, ["c0012"]) == name


@pytest.mark.parametrize("name", SOMEBODYS)
def test_a_name_that_may_be_somebodys_is_not_shown(name: str) -> None:
    shown = file_shown(Path("/data/Maria Zzplanted") / name, ["c0012"])
    assert shown in ("a file", f"a file ({Path(name).suffix})", "a file (.nii.gz)")


@given(st.text(st.characters(categories=["L", "N"]), min_size=5, max_size=20))
def test_no_word_that_is_not_known_is_shown(word: str) -> None:
    shown = file_shown(Path(f"scan_{word}.dcm"))
    assert shown == "a file (.dcm)" or file_shown(Path(word)) == word


def test_a_text_names_files_by_their_number() -> None:
    files = [Path("d/a Wu.txt"), Path("d/IM1.dcm"), Path("d/Wu.txt")]
    assert (
        without_file_names("Wu.txt differs from IM1.dcm and a Wu.txt", files)
        == "file 3 of 3 (.txt) differs from IM1.dcm and file 1 of 3 (.txt)"
    )
    assert without_file_names("Wu.txt: torn", files[2:]) == "its file (.txt): torn"
    assert without_file_names("Line 3 of Li", [Path("Li")]) == "Line 3 of its file"
