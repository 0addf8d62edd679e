"""What fits a keyword that a cohort selects a series by."""

import pytest

from mmdiag.readers.dicom.header import fits


@pytest.mark.parametrize(
    ("value", "asked", "found"),
    [
        ("80.00", "80", True),
        ("80", "8*", True),
        ("80", "81", False),
        ("T2  FLAIR ax", "t2 flair*", True),
        ("nan", "nan", True),
        ("", "80", False),
    ],
)
def test_numbers_are_selected_by_their_size_and_texts_whatever_their_blanks(value, asked, found):
    assert fits(value, asked) is found
