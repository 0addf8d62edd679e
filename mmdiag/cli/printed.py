"""How lines and tables are printed: nothing that a file's name holds reaches a terminal as an
escape sequence.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

RESEARCH = "For research use only: not a medical device."
PIPED = 4096  # columns of what goes into a file or another program


def number(value: Any) -> str:
    """Two digits; nothing where it is not known."""
    return "" if value is None else f"{value:.2f}"


def table_of(
    columns: Sequence[str], rows: Iterable[Mapping[str, Any]], title: str | None = None
) -> None:
    """Print some columns of rows."""
    table = Table(*columns, title=title, title_justify="left")
    for row in rows:
        table.add_row(*(printable(row.get(name, "")) for name in columns))
    a_console().print(table)


def line(text: str) -> None:
    """Print one line, however long."""
    a_console().print(printable(text), soft_wrap=True)


def printable(value: Any) -> str:
    """A file's name may hold anything, a terminal's escape sequences too."""
    return "".join(letter if letter.isprintable() else "?" for letter in str(value))


def a_console() -> Console:
    """A terminal cuts a table at its width; a pipe has none."""
    console = Console(markup=False, highlight=False, emoji=False)
    return (
        console
        if console.is_terminal
        else Console(markup=False, highlight=False, emoji=False, width=PIPED)
    )
