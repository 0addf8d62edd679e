"""Where the program ends: every outcome becomes an exit code, and every failure one short paragraph
on stderr.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import click

from mmdiag.errors import MmdiagError

DONE, FAILED, WRONG_USE, IN_QUARANTINE, INTERRUPTED = 0, 1, 2, 3, 130


def run(group: click.Group, arguments: Sequence[str] | None = None) -> int:
    """Run the command line and answer with its exit code."""
    try:
        code = group.main(
            None if arguments is None else list(arguments),
            prog_name="mmdiag",
            standalone_mode=False,
        )
    except (KeyboardInterrupt, click.Abort):
        return _fail(
            "Interrupted. Run the same command again: it picks up where it stopped.", INTERRUPTED
        )
    except click.UsageError as error:
        return _fail(f"{error.format_message()}{_where_to_read(error)}", WRONG_USE)
    except click.ClickException as error:
        return _fail(error.format_message(), error.exit_code)
    except BrokenPipeError:  # the reader of stdout has gone, as in `mmdiag status | head -1`
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except MmdiagError as error:
        return _fail(str(error), error.exit_code)
    return code if isinstance(code, int) else DONE


@contextmanager
def failures_without_values(logs: Path) -> Iterator[None]:
    """Let through only failures whose text may be shown; with `MMDIAG_DEBUG=1` let everything
    through as it is.

    Args:
        logs: Where the places of an unforeseen failure are written.
    """
    try:
        yield
    except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
        raise
    except (
        Exception
    ) as error:  # the process boundary: what is not foreseen is shown without its text
        if debugging():
            raise
        from mmdiag.failures import redact

        failure = redact(error, logs)
    else:
        return
    raise failure from None


def debugging() -> bool:
    """Whether the user asked for tracebacks."""
    return os.environ.get("MMDIAG_DEBUG", "") not in ("", "0")


def _where_to_read(error: click.UsageError) -> str:
    return f" `{error.ctx.command_path} --help` shows examples." if error.ctx else ""


def _fail(paragraph: str, code: int) -> int:
    sys.stderr.write(f"{paragraph}\n")
    return code
