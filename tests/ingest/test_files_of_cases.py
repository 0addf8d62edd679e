"""A case's own files are regular and lie below the root: whatever else is among them costs this
modality of this case, is never opened, and stops nobody else.
"""

from pathlib import Path

import pytest
from special_files import SPECIAL
from table_builders import ingest

from mmdiag.cohort.case_table import read_cases
from mmdiag.cohort.cases import find_cases
from mmdiag.deidentify.folder import deidentify_folder
from mmdiag.description import read_description
from mmdiag.errors import DescriptionError, ReadError, UsageError
from mmdiag.ingest.inspect import inspect
from mmdiag.privacy.pseudonyms import read_key
from mmdiag.regular_files import open_regular, require_regular
from mmdiag.sandbox.pool import shared_sandbox
from mmdiag.workspace import file_sha256

SECRET = "A secret that lies outside of the root. " * 5
# One modality of each kind -> the file or folder of case a
MODALITIES = {
    "text": "note/a.txt",
    "image": "image/a",
    "signal": "signal/a.wav",
    "table": "table/a.csv",
}


def write_cohort(root: Path) -> Path:
    """Two cases with a file of each kind; images lie in a folder of each case."""
    root.mkdir()
    (root / "cases.csv").write_text("id\na\nb\n")
    text = '[cohort]\nname = "small"\n[cases]\ntable = "cases.csv"\ncase_id = "id"\n'
    for kind, place in MODALITIES.items():
        name = Path(place).parent.name
        text += f'[modalities.{name}]\nkind = "{kind}"\npath = "{place.replace("/a", "/{id}")}"\n'
        for case in "ab":
            file = root / place.replace("/a", f"/{case}")
            file.parent.mkdir(exist_ok=True)
            if kind == "image":
                file.mkdir()
                file /= "1.dcm"
            file.write_text("id,x\na,1\n" if kind == "table" else "No oedema of the left lung.")
    (root / "cohort.toml").write_text(text)
    return root / "cohort.toml"


def refused(toml: Path) -> dict[str, str]:
    """Modality -> code of what is refused unread of case a; nothing is of case b."""
    description = read_description(toml)
    one, other = find_cases(description, read_cases(description))
    assert not other.faults and len(other.sources) == 4
    assert not set(one.faults) & set(one.sources)
    return {name: code for name, (code, _) in one.faults.items()}


def spoilt(root: Path, place: str) -> Path:
    """The place of case a, empty."""
    path = root / place
    if path.is_dir():
        (path / "1.dcm").unlink()
        return path / "1.dcm"
    path.unlink()
    return path


@pytest.mark.parametrize("place", MODALITIES.values())
@pytest.mark.parametrize("kind", ["a pipe", "a socket"])
def test_what_is_no_file_costs_one_modality_of_its_case(tmp_path, place, kind):
    toml = write_cohort(tmp_path / "c")
    SPECIAL[kind](spoilt(toml.parent, place))
    assert refused(toml) == {Path(place).parts[0]: "not_a_file"}


@pytest.mark.parametrize("place", MODALITIES.values())
@pytest.mark.parametrize("target", ["a file", "a folder", "a device"])
def test_a_link_out_of_the_root_is_not_followed(tmp_path, place, target):
    toml = write_cohort(tmp_path / "c")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "secret.txt").write_text(SECRET)
    targets = {
        "a file": tmp_path / "elsewhere" / "secret.txt",
        "a folder": tmp_path / "elsewhere",
        "a device": Path("/dev/zero"),
    }
    spoilt(toml.parent, place).symlink_to(targets[target])
    assert refused(toml) == {Path(place).parts[0]: "outside_root"}


def test_a_link_deep_in_the_folder_of_a_case_is_not_followed(tmp_path):
    toml = write_cohort(tmp_path / "c")
    (tmp_path / "secret").write_text(SECRET)
    (toml.parent / "image/a/deep/deeper").mkdir(parents=True)
    (toml.parent / "image/a/deep/deeper/2.dcm").symlink_to(tmp_path / "secret")
    assert refused(toml) == {"image": "outside_root"}


def test_a_folder_above_the_files_that_is_a_link_out_of_the_root_is_not_followed(tmp_path):
    toml = write_cohort(tmp_path / "c")
    (toml.parent / "note").rename(tmp_path / "elsewhere")
    (toml.parent / "note").symlink_to(tmp_path / "elsewhere")
    description = read_description(toml)
    cases = find_cases(description, read_cases(description))
    assert [case.faults["note"][0] for case in cases] == ["outside_root"] * 2


def test_a_link_to_nothing_in_the_folder_of_a_case_is_no_file(tmp_path):
    toml = write_cohort(tmp_path / "c")
    (toml.parent / "image/a/2.dcm").symlink_to("gone.dcm")
    (toml.parent / "image/a/3.dcm").symlink_to("3.dcm")
    assert refused(toml) == {"image": "not_a_file"}


def test_links_within_the_root_are_files_and_what_a_system_leaves_is_overlooked(tmp_path):
    toml = write_cohort(tmp_path / "c")
    spoilt(toml.parent, "note/a.txt").symlink_to("b.txt")
    (toml.parent / "image/a/2.dcm").symlink_to("1.dcm")
    SPECIAL["a pipe"](toml.parent / "image/a/._1.dcm")
    assert refused(toml) == {}


def test_an_ingestion_says_what_is_no_file_and_keeps_the_rest(tmp_path):
    toml = write_cohort(tmp_path / "c")
    (tmp_path / "secret.txt").write_text(SECRET)
    SPECIAL["a pipe"](spoilt(toml.parent, "image/a"))
    spoilt(toml.parent, "note/a.txt").symlink_to(tmp_path / "secret.txt")
    text = toml.read_text().replace('kind = "signal"', 'kind = "text"')
    toml.write_text(text.replace("signal/{id}.wav", "signal/{id}.*"))
    answer, view = ingest(toml, tmp_path / "w")
    assert answer["cases"]["accepted"] == 2
    codes = {(row.case_id, row.modality): row.code for row in view.quarantine.itertuples()}
    assert codes["a", "image"] == "not_a_file" and codes["a", "note"] == "outside_root"
    assert codes["b", "image"] != "not_a_file" and ("b", "note") not in codes
    for written in (tmp_path / "w").rglob("*"):
        assert not written.is_file() or b"A secret" not in written.read_bytes()


def test_a_file_that_is_mended_is_read(tmp_path):
    toml = write_cohort(tmp_path / "c")
    pipe = spoilt(toml.parent, "note/a.txt")
    SPECIAL["a pipe"](pipe)
    first, _ = ingest(toml, tmp_path / "w")
    pipe.unlink()
    pipe.write_text("The heart is large.")
    second, _ = ingest(toml, tmp_path / "w")
    assert first["modalities"]["note"]["quarantined"] == 1
    assert second["modalities"]["note"]["quarantined"] == 0 and second["cases"]["new"] == 1


def test_a_modality_of_which_no_table_may_be_read_is_refused(tmp_path):
    toml = write_cohort(tmp_path / "c")
    for case in "ab":
        table = toml.parent / f"table/{case}.csv"
        table.unlink()
        SPECIAL["a pipe"](table)
    with pytest.raises(
        DescriptionError, match=r"of 2 no file may be read, a file \(.csv\) is a pipe"
    ):
        ingest(toml, tmp_path / "w")


def test_a_table_of_all_cases_in_a_folder_is_a_file_too(tmp_path):
    toml = write_cohort(tmp_path / "c")
    text = toml.read_text().replace("table/{id}.csv", "table/*.csv")
    toml.write_text(text.replace('kind = "table"', 'kind = "table"\nkey = "id"'))
    SPECIAL["a pipe"](toml.parent / "table" / "c.csv")
    with pytest.raises(
        DescriptionError, match=r"regular files below the root, a file \(.csv\) is a pipe"
    ):
        find_cases(read_description(toml), read_cases(read_description(toml)))


@pytest.mark.parametrize("kind", SPECIAL)
def test_nothing_but_a_regular_file_is_opened(tmp_path, kind):
    SPECIAL[kind](tmp_path / "x.txt")
    for read in (open_regular, require_regular, file_sha256):
        with pytest.raises(ReadError, match=f"not_a_file: x.txt is {kind}"):
            read(tmp_path / "x.txt")
    with pytest.raises(UsageError, match=f"x.txt is {kind}"):
        read_key(tmp_path / "x.txt")


def test_a_file_that_becomes_a_pipe_when_it_was_looked_at_is_not_waited_for(tmp_path, monkeypatch):
    SPECIAL["a pipe"](tmp_path / "x.txt")
    monkeypatch.setattr("mmdiag.regular_files.require_regular", lambda _: None)
    with pytest.raises(ReadError, match=r"not_a_file: x\.txt is a pipe"):
        open_regular(tmp_path / "x.txt")


@pytest.mark.parametrize("kind", ["a pipe", "a socket"])
@pytest.mark.parametrize(
    "name", ["x.txt", "x.csv", "x.dcm", "x.nii.gz", "x.wav", "x.vcf", "x.h5ad"]
)
def test_an_inspection_says_what_is_no_file(tmp_path, kind, name):
    SPECIAL[kind](tmp_path / name)
    (tmp_path / "gone.txt").symlink_to("nowhere")
    for verdict in inspect([tmp_path]):
        assert (verdict["verdict"], verdict["code"]) == ("quarantined", "not_a_file")


def test_a_worker_opens_no_pipe_either(tmp_path):
    SPECIAL["a pipe"](tmp_path / "x.dcm")
    for function in ("dicom_verdict", "note_verdict", "dicom_identifiers"):
        outcome = shared_sandbox().call(function, file=str(tmp_path / "x.dcm"))
        assert outcome.code == "not_a_file"


def test_a_pipe_is_no_note_to_de_identify(tmp_path):
    (tmp_path / "in").mkdir()
    SPECIAL["a pipe"](tmp_path / "in" / "x.txt")
    with pytest.raises(UsageError, match="there must be a file"):
        deidentify_folder(tmp_path / "in", tmp_path / "out", b"k" * 32)
