"""What `mmdiag explain` refuses before anything is read, and how a change is written."""

import pytest

from mmdiag.cli.models.explain import _change
from mmdiag.errors import UsageError


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("c1", "--set", "EGFR=1", "--html", "c1.html"), "without a change"),
        (("--checks",), "give --bundle alone"),
        (("--checks", "--html", "c1.html"), "give --bundle alone"),
        ((), "named by its key"),
        (("c1", "--set", "EGFR"), "NAME=VALUE"),
        (("c1", "--set", "=1"), "NAME=VALUE"),
        (("c1", "--note", "report=nowhere.txt"), "text file in UTF-8"),
        (("c1", "--cohort", "cohort.toml", "--cohort-name", "a"), "named once"),
    ],
)
def test_what_does_not_go_together_is_refused(given, words, mmdiag_call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cohort.toml").touch()
    done = mmdiag_call("explain", *given, "--workspace", tmp_path / "w")
    assert done.returncode == 2 and words in " ".join(done.stderr.split()), done.stderr
    assert not (tmp_path / "w").exists() and not (tmp_path / "c1.html").exists()


def test_a_file_of_a_note_and_a_column_of_a_category_may_have_an_equals_sign(tmp_path):
    note = tmp_path / "a=b.txt"
    note.write_text("No oedema.")
    change = _change(["flair"], [f"report={note}"], ["sex=M=1", "EGFR=median"])
    assert change is not None and change.notes == {"report": "No oedema."}
    assert change.values == {"sex=M": "1", "EGFR": "median"} and change.without == ("flair",)
    assert _change([], [], []) is None


def test_a_note_that_is_no_text_is_refused_without_a_word_of_it(tmp_path):
    note = tmp_path / "n.txt"
    note.write_bytes(b"Sm\xedth")
    with pytest.raises(UsageError, match="UnicodeDecodeError") as found:
        _change([], [f"report={note}"], [])
    assert "Sm" not in str(found.value)
