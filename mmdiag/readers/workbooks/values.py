"""Values of a sheet as text and as columns of Arrow, by their types."""

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Final

import pyarrow as pa

from mmdiag.readers.workbooks.book import Value

EXACT: Final = 1e15  # from which on a number has lost digits that were typed


def text_of(value: Value, decimal: str = ".") -> str:
    """A value as a CSV has it: the shortest number that is the same, ISO dates.

    Args:
        decimal: What separates the fraction of a number.
    """
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, float | int):
        whole = float(value).is_integer() and abs(value) < EXACT
        return str(int(value)) if whole else repr(float(value)).replace(".", decimal)
    if isinstance(value, timedelta):
        return _clock(value)
    return value.isoformat()


def column_of(values: Sequence[Value], decimal: str = ".") -> pa.Array:
    """A column by the type that all of its values have; text where they differ, true as 1.

    Args:
        decimal: What separates the fraction of a number among texts.
    """
    kinds = {_kind(value) for value in values if value is not None}
    if not kinds:
        return pa.nulls(len(values))
    if kinds == {bool}:
        return pa.array(
            [None if value is None else int(bool(value)) for value in values], pa.int8()
        )
    if kinds == {float}:
        return pa.array(values, pa.float64())
    if kinds in ({date}, {time}, {timedelta}):
        return pa.array(values)
    if kinds <= {date, datetime}:
        moments = [
            datetime(value.year, value.month, value.day) if type(value) is date else value
            for value in values
        ]
        return pa.array(moments, pa.timestamp("us"))
    return texts_of(values, decimal)


def texts_of(values: Sequence[Value], decimal: str = ".") -> pa.Array:
    """A column as text, what is missing empty."""
    return pa.array([text_of(value, decimal) for value in values], pa.string())


def _kind(value: Value) -> type:
    return float if type(value) is int else type(value)


def _clock(value: timedelta) -> str:
    """A length of time as hours, minutes and seconds."""
    seconds = value.total_seconds()
    hours, rest = divmod(abs(seconds), 3600)
    return f"{'-' if seconds < 0 else ''}{int(hours):02d}:{int(rest // 60):02d}:{rest % 60:02.0f}"
