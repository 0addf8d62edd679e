"""The key of pseudonyms lies with its owner alone, and pseudonyms are told apart by kind."""

import errno
from datetime import date
from pathlib import Path

import pytest

from mmdiag.errors import UsageError
from mmdiag.privacy.pseudonyms import pseudonym, pseudonymous_uid, read_key, shift_date

KEY = bytes(range(32))


def test_pseudonyms_differ_by_kind_and_shifts_by_subject():
    assert (
        pseudonym(KEY, "patient", "7") != pseudonym(KEY, "note", "7")
        and len(pseudonym(KEY, "patient", "7")) == 16
    )
    assert (
        pseudonymous_uid(KEY, "1.2.3")
        == pseudonymous_uid(KEY, "1.2.3\0")
        != pseudonymous_uid(KEY, "1.2.4")
    )
    assert len({shift_date(KEY, str(subject), date(2020, 1, 1)) for subject in range(50)}) > 40


def test_the_key_is_made_for_its_owner_alone_and_stays_outside_of_what_it_protects(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("MMDIAG_KEY_FILE", str(tmp_path / "keys" / "key"))
    key = read_key()
    assert (
        len(key) == 32
        and (tmp_path / "keys" / "key").stat().st_mode & 0o777 == 0o600
        and read_key() == key
    )
    assert [file.name for file in (tmp_path / "keys").iterdir()] == ["key"]
    with pytest.raises(UsageError, match="must lie outside"):
        read_key(outside=[tmp_path / "keys"])
    (tmp_path / "keys" / "key").chmod(0o640)
    with pytest.raises(UsageError, match="chmod 600"):
        read_key()
    (tmp_path / "keys" / "key").chmod(0o600)
    (tmp_path / "keys" / "key").write_bytes(b"short")
    with pytest.raises(UsageError, match="at least 32 bytes"):
        read_key()


def test_a_key_that_is_there_is_read_where_nothing_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = read_key(tmp_path / "key")

    def refused(_: Path) -> None:
        raise OSError(errno.EROFS, "read-only")

    monkeypatch.setattr("mmdiag.privacy.pseudonyms._make", refused)
    assert read_key(tmp_path / "key") == key
