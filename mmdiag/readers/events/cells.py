"""Columns of event tables as arrays: whole numbers, decimals and times, of whatever type a file has
for them.
"""

from typing import Final, NoReturn

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float64, Int64
from numpy import ndarray
from pyarrow import compute

from mmdiag.errors import DescriptionError
from mmdiag.readers.events.rows import STATIC, Times
from mmdiag.readers.moments import Moment, read_moment
from mmdiag.readers.tables.numbers import strict_numbers

DAY_US: Final = 86_400_000_000
UNITS: Final = {"s": 1_000_000, "ms": 1_000, "us": 1}  # microseconds; a nanosecond is less than one
# the years that a date can have, in microseconds since 1970
EARLIEST_US, LATEST_US = -62_135_596_800_000_000, 253_402_300_799_999_999
WHOLE: Final = r"^-?[0-9]{1,18}(\.0*)?$"
LARGEST_ID: Final = 2**63 - 1
EXACT: Final = 2.0**53  # up to which a double holds every whole number


def whole_numbers(
    cells: pa.Array, column: str, name: str
) -> tuple[Int64[ndarray, " row"], Bool[ndarray, " row"]]:
    """Cells as whole numbers, and whether each is one; 0 where it is none.

    Args:
        column, name: What the message calls the column and its file.

    Raises:
        DescriptionError: The column's type is that of no numbers.
    """
    if pa.types.is_null(cells.type):
        return np.zeros(len(cells), np.int64), np.zeros(len(cells), bool)
    if _is_text(cells.type):
        text = compute.utf8_trim_whitespace(compute.fill_null(cells, ""))
        fits = compute.match_substring_regex(text, WHOLE)
        digits = compute.replace_substring_regex(text, r"\..*$", "")
        cells = compute.cast(compute.if_else(fits, digits, pa.scalar(None, text.type)), pa.int64())
    elif pa.types.is_decimal(cells.type) or pa.types.is_floating(cells.type):
        values = compute.cast(cells, pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        fits = np.isfinite(values) & (np.abs(values) < EXACT)
        fits &= np.where(fits, values, 0.5) % 1 == 0
        return np.where(fits, values, 0).astype(np.int64), fits
    elif not pa.types.is_integer(cells.type):
        refuse_type(cells.type, column, name, "whole numbers")
    if pa.types.is_uint64(cells.type):
        fits = compute.less_equal(cells, pa.scalar(LARGEST_ID, pa.uint64()))
        cells = compute.if_else(fits, cells, pa.scalar(None, pa.uint64()))
    present = compute.is_valid(cells).to_numpy(zero_copy_only=False)
    filled = compute.fill_null(compute.cast(cells, pa.int64()), 0)
    return filled.to_numpy(zero_copy_only=False), present


def decimals(
    cells: pa.Array, column: str, name: str
) -> tuple[Float64[ndarray, " row"], Bool[ndarray, " row"], Bool[ndarray, " row"]]:
    """Cells as numbers, NaN where there is none; whether a cell holds what is no number; and
    whether it holds one that is not finite.

    Raises:
        DescriptionError: The column's type is that of no numbers.
    """
    none = np.zeros(len(cells), bool)
    if _is_text(cells.type):
        values, wrong = strict_numbers(pa.chunked_array([cells.cast(pa.string())]))
        return values, wrong, none
    if pa.types.is_null(cells.type):
        return np.full(len(cells), np.nan), none, none
    number = pa.types.is_floating(cells.type) or pa.types.is_integer(cells.type)
    if not number and not pa.types.is_decimal(cells.type):
        refuse_type(cells.type, column, name, "numbers")
    present = compute.is_valid(cells).to_numpy(zero_copy_only=False)
    plain = compute.cast(cells, pa.float64(), safe=False)
    values = np.array(plain.to_numpy(zero_copy_only=False), np.float64)
    return values, none, present & ~np.isfinite(values)


def timestamps(cells: pa.Array, column: str, name: str) -> Times:
    """Cells of a timestamp column; null is STATIC.

    Raises:
        DescriptionError: It is no timestamp column, or its zone is not known.
    """
    if pa.types.is_null(cells.type):
        cells = cells.cast(pa.timestamp("us"))
    if not pa.types.is_timestamp(cells.type):
        refuse_type(cells.type, column, name, "timestamps")
    utc, known = _microseconds(cells)
    clock, zoned = utc, bool(cells.type.tz)
    if zoned:
        try:
            clock, _ = _microseconds(compute.local_timestamp(cells))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            refuse_type(cells.type, column, name, "timestamps of a zone that is known")
    return Times(utc, clock, np.full(len(cells), zoned), known)


def dates(cells: pa.Array, column: str, name: str) -> Times:
    """Cells of a column of dates, timestamps or ISO text. What names only the day, as midnight
    does, is at its end; null is not known.

    Raises:
        DescriptionError: The column's type is that of no dates.
    """
    if pa.types.is_date(cells.type):
        cells = cells.cast(pa.timestamp("ms")).cast(pa.timestamp("us"), safe=False)
    if pa.types.is_timestamp(cells.type) or pa.types.is_null(cells.type):
        times = timestamps(cells, column, name)
    elif _is_text(cells.type):
        times = _written(cells)
    else:
        refuse_type(cells.type, column, name, "dates")
    dated = times.known & (times.utc_us != STATIC)
    to_the_end = np.where(dated & (times.clock_us % DAY_US == 0), DAY_US - 1, 0)
    return Times(times.utc_us + to_the_end, times.clock_us + to_the_end, times.zoned, dated)


def refuse_type(found: pa.DataType, column: str, name: str, rule: str) -> NoReturn:
    """Refuse a column whose type is another one.

    Raises:
        DescriptionError: Always.
    """
    raise DescriptionError(
        f"The column {column} of events holds {rule}, that of {name} has the type {found}: "
        "export the table again by its standard."
    )


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _microseconds(cells: pa.Array) -> tuple[Int64[ndarray, " row"], Bool[ndarray, " row"]]:
    """Timestamps as microseconds, STATIC where null; and whether each is a time that can be."""
    present = compute.is_valid(cells).to_numpy(zero_copy_only=False)
    ticks = compute.fill_null(cells.cast(pa.int64()), 0).to_numpy(zero_copy_only=False)
    if cells.type.unit == "ns":
        values, can_be = ticks // 1000, np.ones(len(ticks), bool)
    else:
        factor = UNITS[cells.type.unit]
        can_be = (ticks >= EARLIEST_US // factor) & (ticks <= LATEST_US // factor)
        values = np.where(can_be, ticks, 0) * factor
    filled: Int64[ndarray, " row"] = np.where(present, values, STATIC)
    return filled, np.asarray(can_be | ~present, np.bool_)


def _written(cells: pa.Array) -> Times:
    """Times that are text, each different one read once."""
    encoded = cells.dictionary_encode()
    texts = encoded.dictionary.to_pylist()
    found = [read_moment(text) for text in texts]
    places = compute.fill_null(encoded.indices, len(texts)).to_numpy(zero_copy_only=False)
    blank = np.array([not text.strip() for text in texts] + [True])

    def of_each(field: str) -> Int64[ndarray, " row"]:
        each = np.array([_field(one, field) for one in (*found, None)], np.int64)
        return np.asarray(each[places], np.int64)

    zoned = np.array([one is not None and one.zone is not None for one in (*found, None)])
    known = np.array([one is not None for one in (*found, None)])
    return Times(of_each("utc_us"), of_each("clock_us"), zoned[places], (known | blank)[places])


def _field(moment: Moment | None, field: str) -> int:
    return STATIC if moment is None else int(getattr(moment, field))
