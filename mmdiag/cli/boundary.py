"""Where the program ends: every outcome becomes an exit code, and every failure one short paragraph
on stderr.
"""

import os
import resource
import signal
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
        code = 128 + _received[-1] if _received else INTERRUPTED
        return _fail("Interrupted. Run the same command again: it picks up where it stopped.", code)
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


def end_in_words() -> None:
    """Let a request to end (SIGTERM) and the end of the terminal (SIGHUP) be met like Ctrl-C: what
    is begun is put in order, one line is said, and the exit code is 128 and the signal's number. A
    second one ends the process at once.
    """

    def interrupt(number: int, _frame: object) -> None:
        _received.append(number)
        signal.signal(number, signal.SIG_DFL)
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup sets it
            signal.signal(number, interrupt)


_received: list[int] = []  # signals that asked this process to end


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
        failure = _shown(error, logs)
    else:
        return
    raise failure from None


def _shown(error: Exception, logs: Path) -> MmdiagError:
    """What may be shown of a failure; want of memory may leave none to load what says so."""
    given = resource.getrlimit(resource.RLIMIT_AS)[0]
    wanting = isinstance(error, MemoryError | ImportError) or "start new thread" in str(error)
    if given != resource.RLIM_INFINITY and wanting:
        return MmdiagError(
            f"A command must fit into memory, and this process may take {given // 2**20} MB: raise "
            "the limit (`ulimit -v unlimited`) and run again."
        )
    from mmdiag.failures import redact

    return redact(error, logs)


def debugging() -> bool:
    """Whether the user asked for tracebacks."""
    return os.environ.get("MMDIAG_DEBUG", "") not in ("", "0")


def _where_to_read(error: click.UsageError) -> str:
    return f" `{error.ctx.command_path} --help` shows examples." if error.ctx else ""


def _fail(paragraph: str, code: int) -> int:
    sys.stderr.write(f"{paragraph}\n")
    return code
