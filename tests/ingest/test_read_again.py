"""What an earlier version read otherwise is another version of its case, and nothing else is."""

from pathlib import Path

import pytest

from mmdiag.cohort.cases import Source
from mmdiag.ingest.case_versions import WHOLE, _marks


@pytest.mark.parametrize(
    ("kind", "name", "again"),
    [
        ("text", "report.PDF", True),
        ("text", "report.rtf", True),
        ("text", "report.txt", False),
        ("image", "film.jpeg", True),
        ("image", "film.png", False),
        ("image", "IM0001.dcm", False),
        ("table", "labs.csv", False),
    ],
)
def test_documents_and_jpegs_of_which_a_part_was_lost_are_read_again(kind, name, again):
    source = Source(modality="m", kind=kind, files=(Path(name),))
    assert (WHOLE in _marks([source])) is again
