"""De-identification of a folder: written under pseudonyms, notes masked, what is refused is
listed.
"""

import json

import pytest
from deidentify_builders import KEY, PERSON, forms, make_export, make_image, to_bytes

from mmdiag.deidentify.folder import deidentify_folder
from mmdiag.errors import UsageError
from mmdiag.privacy.pseudonyms import pseudonym


def test_a_folder_is_written_under_pseudonyms_and_what_is_refused_is_listed(tmp_path):
    make_export(tmp_path / "in")
    found = deidentify_folder(tmp_path / "in", tmp_path / "out", KEY)
    assert (
        found.dicom,
        found.copies,
        found.notes,
        found.blank,
        found.subjects,
        found.notes_with_subject_terms,
    ) == (2, 1, 1, 1, 1, 1)
    assert {row["path"]: row["code"] for row in found.refused} == {
        "report.pdf": "unknown_kind",
        "p1/us.dcm": "burned_in",
        "p1/torn.txt": "not_text",
    }
    subject = pseudonym(KEY, "patient", PERSON["record"])
    files = [file for file in (tmp_path / "out").rglob("*") if file.is_file()]
    assert len(files) == 3 and all(
        file.relative_to(tmp_path / "out").parts[0] == subject for file in files
    )
    for file in files:
        for secret in PERSON.values():
            assert not [
                form
                for form in forms(secret)
                if form in file.read_bytes() or form.decode("latin-1") in str(file)
            ], secret
    (note,) = (tmp_path / "out" / subject).glob("*.txt")
    assert note.read_text(encoding="utf-8").startswith(
        "FINDINGS: no oedema. Patient: [NAME], born [DATE]"
    ) and "[NAME] was well." in note.read_text(encoding="utf-8")
    before = {file: file.read_bytes() for file in files}
    deidentify_folder(tmp_path / "in", tmp_path / "out", KEY)
    assert {
        file: file.read_bytes() for file in (tmp_path / "out").rglob("*") if file.is_file()
    } == before


def test_two_images_under_one_uid_do_not_replace_each_other(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.dcm").write_bytes(to_bytes(make_image(1)))
    (tmp_path / "in" / "b.dcm").write_bytes(to_bytes(make_image(1, PixelData=b"\1" * 160)))
    found = deidentify_folder(tmp_path / "in", tmp_path / "out", KEY)
    assert found.dicom == 1 and [row["code"] for row in found.refused] == ["duplicate_instance"]


def test_a_folder_is_not_written_into_itself(tmp_path):
    (tmp_path / "a.txt").write_text("x")
    for source, target in (
        (tmp_path, tmp_path),
        (tmp_path, tmp_path / "out"),
        (tmp_path / "a.txt", tmp_path),
    ):
        with pytest.raises(UsageError, match="outside"):
            deidentify_folder(source, target, KEY)


def test_the_command_answers_with_counts_and_exit_code_3_where_something_was_refused(
    tmp_path, mmdiag_command
):
    make_export(tmp_path / "in")
    key = {"MMDIAG_KEY_FILE": str(tmp_path / "key")}
    done = mmdiag_command(
        "deidentify", tmp_path / "in", tmp_path / "out", "--json", cwd=tmp_path, **key
    )
    answer = json.loads(done.stdout)
    assert (
        done.returncode == 3
        and answer["dicom"] == 2
        and answer["notes"] == 1
        and len(answer["refused"]) == 3
    )
    assert (
        answer["masked"]["name"] >= 1
        and 0 < answer["note_words_masked"] < answer["note_words"]
        and answer["attributes"]["dropped"] > 10
    )
    assert not [secret for secret in PERSON.values() if secret in done.stdout + done.stderr]
    inside = mmdiag_command(
        "deidentify",
        tmp_path / "in",
        tmp_path / "again",
        cwd=tmp_path,
        MMDIAG_KEY_FILE=str(tmp_path / "again" / "key"),
    )
    assert (
        inside.returncode == 2
        and "must lie outside" in inside.stderr
        and not (tmp_path / "again").exists()
    )
