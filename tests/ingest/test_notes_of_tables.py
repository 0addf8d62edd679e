"""Notes in a column of a table that all cases share: a case has one."""

import pytest
from table_builders import KEYS, ingest, write_cohort

SECTION = (
    '[modalities.report]\nkind = "text"\npath = "notes.csv"\nkey = "case_id"\ncolumn = "text"\n'
)


def noted(folder, more, rows=""):
    labs = "case_id,a\n" + "".join(f"{key},{n}.5\n" for n, key in enumerate(KEYS))
    path = write_cohort(folder, labs, SECTION + rows)
    notes = "".join(f"{key},No effusion in {key}.\n" for key in KEYS)
    (folder / "notes.csv").write_text("case_id,text\n" + notes + more)
    return ingest(path, folder / "w")


@pytest.mark.parametrize("more", ["k01,No effusion in k01.\n", "k01,\n", "k01, \nk01,\n"])
def test_a_note_that_stands_twice_or_beside_nothing_is_one(tmp_path, more):
    answer, cohort = noted(tmp_path, more)
    assert answer["modalities"]["report"]["present"] == len(KEYS)
    assert cohort.note("report", "k01") == "No effusion in k01."


def test_two_notes_of_a_case_are_refused_or_the_first_is_read(tmp_path):
    answer, cohort = noted(tmp_path / "1", "k01,A mass.\n")
    assert answer["modalities"]["report"]["quarantined"] == 1
    assert cohort.quarantine["code"].tolist() == ["duplicate_row"]
    _, cohort = noted(tmp_path / "2", "k01,A mass.\n", 'rows = "first"\n')
    assert cohort.note("report", "k01") == "No effusion in k01."
