"""Types of a contract's columns: of which type a cell is, and where the type of a whole column says
it of its cells.
"""

from collections.abc import Callable
from datetime import date
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd


def _is_number(cell: Any) -> bool:
    return isinstance(cell, int | float | np.number) and not isinstance(cell, bool | np.bool_)


def _is_datetime(cell: Any) -> bool:
    """A date or a time, or its ISO text: CSV knows no other."""
    return isinstance(cell, date) or (isinstance(cell, str) and _is_iso(cell))


@lru_cache(maxsize=4096)
def _is_iso(text: str) -> bool:
    try:
        return not pd.isna(pd.to_datetime(text, format="ISO8601"))
    except ValueError:
        return False


IS_OF_TYPE: dict[str, Callable[[Any], bool]] = {
    "text": lambda cell: isinstance(cell, str),
    "number": _is_number,
    "integer": lambda cell: _is_number(cell) and cell % 1 == 0,
    "boolean": lambda cell: (
        isinstance(cell, bool | np.bool_)
        or (isinstance(cell, str) and cell.lower() in ("true", "false"))
    ),
    "date": lambda cell: (
        _is_datetime(cell) and pd.Timestamp(cell) == pd.Timestamp(cell).normalize()
    ),
    "datetime": _is_datetime,
}
IS_TYPE_OF_ALL: dict[
    str, Callable[[Any], bool]
] = {  # where the type of a whole column says that of its cells
    "text": lambda dtype: isinstance(dtype, pd.StringDtype),
    "number": lambda dtype: (
        pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_bool_dtype(dtype)
    ),
    "integer": pd.api.types.is_integer_dtype,
    "boolean": pd.api.types.is_bool_dtype,
    "date": lambda _: False,
    "datetime": pd.api.types.is_datetime64_any_dtype,
}
