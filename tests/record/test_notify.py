"""MMDIAG_NOTIFY: one JSON document on stdin, and nothing that the command does matters here."""

import json
import sys
from pathlib import Path

import pytest

from mmdiag.record.notify import notify


def test_the_command_gets_one_json_document(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = f"import sys; open({str(tmp_path / 'told')!r}, 'w').write(sys.stdin.read())"
    monkeypatch.setenv("MMDIAG_NOTIFY", f'{sys.executable} -c "{code}"')
    assert notify("held", "k; touch x", {"cases": 3}) is True
    said = json.loads((tmp_path / "told").read_text())
    assert said == {"kind": "held", "cohort": "k; touch x", "counts": {"cases": 3}}


def test_nobody_is_told_where_no_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MMDIAG_NOTIFY", raising=False)
    assert notify("held", "k", {}) is None


@pytest.mark.parametrize("command", ["/no/such/command", "false"])
def test_a_command_that_fails_is_said_and_breaks_nothing(
    monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("MMDIAG_NOTIFY", command)
    assert notify("failed", "k", {"cases": 3}) is False
