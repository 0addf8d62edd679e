"""Tables for people: on a page, and as CSV that a spreadsheet takes for text."""

import csv

import pandas as pd
import streamlit as st

FORMULA = tuple(
    "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20|%"
)  # what a spreadsheet may run; also full width
BLANK = " \u00a0\u200b\ufeff\u2060\u3000"  # a spreadsheet may take them away first


def csv_of(table: pd.DataFrame) -> str:
    """A table as CSV; a text that a spreadsheet would run as a formula begins with an apostrophe.

    Numbers stay numbers: only texts are escaped, names of columns too.
    """
    shown = table.map(escaped)
    shown.columns = pd.Index([escaped(str(name)) for name in table.columns])
    return str(shown.to_csv(index=False, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC))


def escaped(value: object) -> object:
    """A cell that is read as text."""
    if not isinstance(value, str) or not value.lstrip(BLANK).startswith(FORMULA):
        return value
    return f"'{value}"


def csv_button(table: pd.DataFrame, file: str) -> None:
    """The only way that a table leaves a page: the export of `st.dataframe` is switched off."""
    st.download_button("CSV", csv_of(table), file, "text/csv")
