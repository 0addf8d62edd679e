"""`init` describes a folder well enough that what it writes can be ingested."""

import pytest

from mmdiag.case_table import read_cases
from mmdiag.cases import find_cases
from mmdiag.description import read_description
from mmdiag.errors import DescriptionError
from mmdiag.initialise import describe_folder
from mmdiag.phantom import write_phantom


def test_what_init_writes_of_a_phantom_describes_it(tmp_path):
    write_phantom(tmp_path / "data", cases=12, seed=1)
    (tmp_path / "mine.toml").write_text(describe_folder(tmp_path / "data", "data"))
    description = read_description(tmp_path / "mine.toml")
    assert {(m.kind, m.select.get("SeriesDescription")) for m in description.modalities.values()} == {
        ("image", "FLAIR"), ("image", "T1 POST GD"), ("image", "LOCALIZER"), ("text", None), ("table", None)
    }  # fmt: skip
    assert (description.case_id, description.subject_id, description.as_of, description.site) == (
        "case_id",
        "subject_id",
        "study_date",
        "site",
    )
    assert description.task.label == "label"
    assert all(len(case.sources) == 5 for case in find_cases(description, read_cases(description)))


def test_a_folder_without_a_table_is_said(tmp_path):
    with pytest.raises(DescriptionError, match="table with a row a case"):
        describe_folder(tmp_path)
