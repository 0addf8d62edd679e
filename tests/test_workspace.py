"""Files of a workspace: whole or not at all, and known by their content."""

import hashlib

import pytest

from mmdiag.workspace import Workspace, atomic_path, file_sha256


def test_a_file_is_known_by_the_hash_of_its_content(tmp_path):
    for content in (b"", b"x" * 3_000_000):
        (tmp_path / "f").write_bytes(content)
        assert file_sha256(tmp_path / "f") == hashlib.sha256(content).hexdigest()


def test_a_file_that_is_not_written_to_its_end_leaves_the_one_before(tmp_path):
    (tmp_path / "f").write_text("before")

    def write_half():
        with atomic_path(tmp_path / "f") as temporary:
            temporary.write_text("half")
            raise KeyError("killed")

    with pytest.raises(KeyError, match="killed"):
        write_half()
    assert [file.name for file in tmp_path.iterdir()] == ["f"]
    assert (tmp_path / "f").read_text() == "before"


def test_a_workspace_that_others_could_read_is_closed_when_it_is_used_again(tmp_path):
    folder = tmp_path / "w"
    folder.mkdir()
    folder.chmod(0o755)
    Workspace(folder).make()
    assert folder.stat().st_mode & 0o7777 == 0o700
