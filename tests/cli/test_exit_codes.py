"""What the command line says, and with which exit code, where its work fails, is interrupted, or
leaves files in quarantine.
"""

import errno
import json
from pathlib import Path

import click
import pytest


def run_failing(failure: BaseException, tmp_path: Path) -> int:
    """Run a command whose work raises `failure`, in the workspace `tmp_path`."""
    from mmdiag.cli import boundary
    from mmdiag.cli.context import Context, with_context

    @click.group()
    def group() -> None: ...

    @group.command()
    @with_context
    def work(context: Context) -> int:
        raise failure

    return boundary.run(group, ["work", "--workspace", str(tmp_path)])


def test_an_unforeseen_failure_is_told_without_its_text(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_failing(ValueError("JANE PLANTED"), tmp_path) == 1
    said = capsys.readouterr().err
    assert "ValueError" in said
    assert "PLANTED" not in said
    assert "Traceback" not in said
    log = next((tmp_path / "logs").iterdir())
    assert log.stem.removeprefix("failure-") in said
    assert "PLANTED" not in log.read_text()
    assert json.loads(log.read_text())[0]["type"] == "ValueError"


def test_a_failure_before_there_is_a_workspace_makes_none(tmp_path: Path) -> None:
    assert run_failing(ValueError("x"), tmp_path / "w") == 1
    assert not (tmp_path / "w").exists()


def test_with_debugging_the_failure_itself_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MMDIAG_DEBUG", "1")
    with pytest.raises(ValueError, match="JANE"):
        run_failing(ValueError("JANE"), tmp_path)


def test_a_full_disk_is_exit_1_and_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        run_failing(
            OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "shards")), tmp_path
        )
        == 1
    )
    assert (
        capsys.readouterr().err == "Writing needs free space, and there is next to none left at "
        f"{tmp_path / 'shards'}: free some and "
        "run the same command again, it picks up where it stopped.\n"
    )


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, click.Abort])
def test_an_interruption_is_exit_130(
    interruption: type[BaseException], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_failing(interruption(), tmp_path) == 130
    assert "picks up" in capsys.readouterr().err


def test_an_error_of_mmdiag_keeps_its_words_and_its_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from mmdiag.errors import MmdiagError, UsageError

    assert run_failing(UsageError("Rule, fact, cure."), tmp_path) == 2
    assert run_failing(MmdiagError("Rule, fact, cure."), tmp_path) == 1
    assert capsys.readouterr().err == "Rule, fact, cure.\nRule, fact, cure.\n"


@pytest.mark.parametrize(
    ("cases", "modality", "code"),
    [
        ({"quarantined": 0}, {"quarantined": 0}, 0),
        ({"quarantined": 1}, {"quarantined": 0}, 3),
        ({"quarantined": 0}, {"quarantined": 2}, 3),
    ],
)
def test_anything_in_quarantine_is_exit_3(
    cases: dict[str, int], modality: dict[str, int], code: int
) -> None:
    from mmdiag.cli.context import exit_code

    assert exit_code({"cases": cases, "modalities": {"flair": modality}}) == code
