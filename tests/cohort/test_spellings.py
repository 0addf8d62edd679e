"""Sites, groups and keys that are written in several ways in one case table."""

import json

import pandas as pd
import pytest

from mmdiag.cohort.case_table import read_cases
from mmdiag.cohort.kept_together import group_numbers
from mmdiag.description import read_description
from mmdiag.errors import DescriptionError
from mmdiag.inference.shift import new_sites

DESCRIBED = """
[cohort]
name = "c"
[cases]
table = "cases.csv"
case_id = "id"
subject_id = "subject"
site = "site"
group = ["sex"]
[modalities.labs]
kind = "table"
path = "cases.csv"
key = "id"
"""


def cases_of(folder, lines):
    (folder / "cohort.toml").write_text(DESCRIBED)
    (folder / "cases.csv").write_text("id,subject,site,sex\n" + "\n".join(lines) + "\n")
    return read_cases(read_description(folder / "cohort.toml"))


def test_a_site_and_a_group_have_one_spelling(tmp_path):
    lines = ["a,s1,UKE,F", "b,s2,uke ,f", "c,s3,UKE,M ", "d,s4, ,f", "e,s5,Mainz\u00a0Nord,M"]
    cases = cases_of(tmp_path, [*lines, "f,s6,Mainz Nord,M"])
    assert cases["site"].tolist() == ["UKE", "UKE", "UKE", None, "Mainz Nord", "Mainz Nord"]
    assert cases["group_sex"].tolist() == ["f", "f", "M", "f", "M", "M"]
    assert cases["column_site"].tolist()[1] == "uke ", "the cell itself stays as it is"


def test_cases_that_share_a_value_in_two_spellings_are_kept_together():
    assert group_numbers(["s1", "s2", "s3"], [["Ward A", "ward  a", "Ward B"]]).tolist() == [
        0,
        0,
        1,
    ]


def test_a_site_in_another_spelling_is_no_new_one(tmp_path):
    (tmp_path / "card.json").write_text(json.dumps({"learned_from": {"sites": ["UKE", "Bonn"]}}))
    sites = pd.Series(["uke ", "BONN", "Köln", "köln"])
    assert new_sites(sites, tmp_path) == {"cases": 2, "sites": 1}


def test_a_subject_that_is_written_as_a_whole_number_and_with_a_decimal_is_refused(tmp_path):
    with pytest.raises(DescriptionError, match=r"a decimal \.0.*1 keys that print like"):
        cases_of(tmp_path, ["a,1,UKE,F", "b,1.0,UKE,F", "c,2.0,UKE,F"])
    assert cases_of(tmp_path, ["a,1.0,U,F", "b,1.0,U,F", "c,v1.0,U,F", "d,v1,U,F"]) is not None


def test_a_key_with_a_blank_around_it_is_refused_as_that(tmp_path):
    with pytest.raises(DescriptionError, match="without blanks around it"):
        cases_of(tmp_path, ["a ,s1,UKE,F", "b,s2,UKE,F"])
