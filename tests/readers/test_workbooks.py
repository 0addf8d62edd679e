"""Sheets of workbooks: the values that another reader gives too, or a refusal that says why."""

from datetime import date, datetime, time, timedelta

import numpy as np
import openpyxl
import pytest
from openpyxl.utils.datetime import CALENDAR_MAC_1904
from workbook_builders import (
    KEYS,
    column,
    labs,
    ods,
    ods_cell,
    ods_table,
    with_part,
    xls,
    xlsx,
)

from mmdiag.errors import ReadError
from mmdiag.readers.tables.cohort_tables import check_table, read_numbers, read_text_table
from mmdiag.readers.tables.delimited import read_frame, read_header, read_table
from mmdiag.readers.tables.form import TableForm
from mmdiag.readers.workbooks.table import number_columns, remarks_of, workbook_table


def remarks(file, **options):
    return " | ".join(remarks_of(workbook_table(file, **options)))


def by_openpyxl(file, sheet=None):
    """Rows below the header, as openpyxl has them: errors and blanks are missing."""
    book = openpyxl.load_workbook(file, data_only=True)
    found = book[sheet] if sheet else book.worksheets[0]
    rows = [[None if c.data_type == "e" else c.value for c in row] for row in found.iter_rows()]
    return [row for row in rows[1:] if any(value is not None for value in row)]


def formatted(place, form):
    def change(book):
        book.active[place].number_format = form

    return change


def each(*changes):
    return lambda book: [change(book) for change in changes]


SAME = {
    "numbers": (labs(), None),
    "whole numbers": (column(range(12)), None),
    "dates": (column([date(2024, 1, day) for day in range(1, 13)]), None),
    "dates of 1904": (
        column([date(2024, 1, day) for day in range(1, 13)]),
        lambda book: setattr(book, "epoch", CALENDAR_MAC_1904),
    ),
    "old dates": (column([date(1900, 3, 1), date(1955, 12, 31), date(1999, 2, 28)]), None),
    "times of days": (column([datetime(2024, 1, 1, 10, minute) for minute in range(12)]), None),
    "dates and times": (column([date(2024, 1, 1), datetime(2024, 1, 1, 12)] * 6), None),
    "clocks": (column([time(10, minute) for minute in range(12)]), None),
    "booleans": (column([True, False] * 6), None),
    "percentages": (column([0.25, 0.5]), each(formatted("B2", "0.0%"), formatted("B3", "0%"))),
    "words": (column(["low", "high ", " mid", "Ä\u2264\u20ac"] * 3), None),
    "lines in a cell": (column(["a\nb", 'say "x"', "a;b,c"] * 4), None),
    "numbers as text": (column(["1.50", "007", "2"] * 4), None),
    "numbers and words": (column([1.5, "<0.1", 3, None] * 3), None),
    "errors": (column([1.5, "#N/A", "#DIV/0!", 2.0] * 3), None),
    "gaps": (column([1.5, None, None, 2.0] * 3), None),
    "small and large": (column([1e-12, 123456789012345, 1e300, -0.1] * 3), None),
    "tiny differences": (column([0.1 + 0.2, 13.199999999999999, 1 / 3] * 4), None),
    "hidden rows": (labs(), lambda book: setattr(book.active.row_dimensions[3], "hidden", True)),
    "hidden columns": (
        labs(),
        lambda book: setattr(book.active.column_dimensions["B"], "hidden", True),
    ),
    "merged cells": (labs(), lambda book: book.active.merge_cells("B3:C4")),
    "frozen, filtered, coloured": (
        labs(),
        lambda book: (
            setattr(book.active, "freeze_panes", "B2"),
            setattr(book.active.auto_filter, "ref", "A1:C13"),
        ),
    ),
    "an empty sheet beside": (labs(), lambda book: book.create_sheet("empty")),
    "blank lines": (labs(), lambda book: book.active.insert_rows(5)),
    "styled beyond the end": (labs(), formatted("F40", "0.00")),
    "many columns": (labs([f"g{number}" for number in range(300)]), None),
}


@pytest.mark.parametrize("name", SAME)
def test_an_xlsx_has_the_values_that_openpyxl_reads(tmp_path, name):
    rows, change = SAME[name]
    file = xlsx(tmp_path / "labs.xlsx", rows, change)
    table = workbook_table(file, text=["case_id"])
    expected = by_openpyxl(file)
    assert table.column("case_id").to_pylist() == [row[0] for row in expected]
    for at, header in enumerate(table.column_names[1:], 1):
        found, wanted = table.column(header).to_pylist(), [row[at] for row in expected]
        kinds = {type(value) for value in wanted if value is not None}
        if kinds <= {int, float}:
            assert found == wanted
        elif kinds == {bool}:
            assert found == [int(value) for value in wanted]
        elif kinds <= {date, datetime}:  # openpyxl makes a moment of each
            assert [f"{one}"[:19].ljust(19) for one in found] == [
                f"{one}"[: len(f"{found[0]}")].ljust(19) for one in wanted
            ]
        elif kinds == {time}:
            assert found == wanted
        else:
            assert found == ["" if value is None else str(value) for value in wanted]


SAID = {
    "percentages": "percentages are read as fractions, 25 % as 0.25: a",
    "errors": "cells that hold an error, taken for missing: 6 in a",
    "hidden rows": "rows that are hidden, and read: 1",
    "hidden columns": "columns that are hidden, and read: a",
    "merged cells": "merged cells, of which the first alone has the value: 1, at B3",
}


@pytest.mark.parametrize("name", SAME)
def test_what_a_sheet_shows_besides_its_values_is_said_and_nothing_else(tmp_path, name):
    rows, change = SAME[name]
    assert remarks(xlsx(tmp_path / "labs.xlsx", rows, change)) == SAID.get(name, "")


# an .ods has no error cells by value, its lines are paragraphs, the builder writes no clock and no
# blanks at ends, and openpyxl writes fifteen digits
OTHERWISE = ("errors", "lines in a cell", "clocks", "words", "tiny differences")
AS_ODS = [name for name in SAME if name not in OTHERWISE]


@pytest.mark.parametrize("name", AS_ODS)
def test_an_ods_has_the_values_of_the_xlsx(tmp_path, name):
    rows, _ = SAME[name]
    tables = [
        workbook_table(file, text=["case_id"])
        for file in (xlsx(tmp_path / "a.xlsx", rows), ods(tmp_path / "a.ods", ods_table(rows)))
    ]
    assert tables[0].to_pydict() == tables[1].to_pydict()
    assert tables[0].schema == tables[1].schema


# the builder of an .xls writes days and no times, and not 300 columns
NO_XLS = ("errors", "clocks", "times of days", "dates and times", "tiny differences")
NO_XLS += ("many columns",)


@pytest.mark.parametrize("name", [name for name in SAME if name not in NO_XLS])
def test_an_xls_has_the_values_of_the_xlsx(tmp_path, name):
    rows, _ = SAME[name]
    files = (xlsx(tmp_path / "a.xlsx", rows), xls(tmp_path / "a.xls", rows))
    tables = [workbook_table(file, text=["case_id"]) for file in files]
    assert tables[0].to_pydict() == tables[1].to_pydict()
    assert tables[0].schema == tables[1].schema


ALIKE = [
    ["case_id", "number", "words", "day", "yes", "gap"],
    *[
        [key, 0.25 * at, "äb c", date(2024, 2, at + 1), at % 2 == 0, None if at % 3 else at]
        for at, key in enumerate(KEYS)
    ],
]


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("labs.xls", xls),
        ("labs.ods", lambda file, rows: ods(file, ods_table(rows))),
        (
            "pretty.ods",
            lambda file, rows: ods(file, ods_table(rows).replace("><table:", ">\n  <table:")),
        ),
        ("LABS.XLSX", xlsx),
    ],
)
def test_the_same_rows_are_the_same_table_in_each_form(tmp_path, name, write):
    plain = workbook_table(xlsx(tmp_path / "plain.xlsx", ALIKE), text=["case_id"])
    found = workbook_table(write(tmp_path / name, ALIKE), text=["case_id"])
    assert found.to_pylist() == plain.to_pylist()
    assert found.schema.types == plain.schema.types


def test_an_ods_says_what_it_shows_besides_its_values(tmp_path):
    rows = labs()
    rows[1][1] = '<table:table-cell office:value-type="percentage" office:value="0.25"/>'
    rows[2][1] = (
        '<table:table-cell table:formula="of:=1/0" office:value-type="string" '
        'calcext:value-type="error"><text:p>#DIV/0!</text:p></table:table-cell>'
    )
    rows[3][1] = ods_cell(9.5, 'table:number-columns-spanned="2"')
    rows[3][2] = "<table:covered-table-cell/>"
    before = (
        '<table:table-column/><table:table-column table:visibility="collapse" '
        'table:number-columns-repeated="2"/>'
    )
    file = ods(tmp_path / "labs.ods", ods_table(rows, before=before), ods_table([], "empty"))
    said = remarks(file)
    assert "fractions, 25 % as 0.25: a" in said and "taken for missing: 1 in a" in said
    assert "columns that are hidden, and read: a, b" in said and "1, at B4" in said
    found = workbook_table(file, text=["case_id"]).to_pydict()
    assert found["a"][:3] == [0.25, None, 9.5] and found["b"][2] is None


def test_a_tab_in_a_cell_of_an_ods_parts_what_is_beside_it(tmp_path):
    rows = labs()
    rows[1][1] = (
        '<table:table-cell office:value-type="string"><text:p>12<text:tab/>5<text:span>mg</text:span>'
        "<text:tab></text:tab><text:span>x</text:span></text:p></table:table-cell>"
    )
    file = ods(tmp_path / "labs.ods", ods_table(rows))
    assert workbook_table(file)["a"][0].as_py() == "12 5mg x"


def test_repeated_cells_and_rows_of_an_ods_stand_as_often_as_they_say(tmp_path):
    rows = labs()
    rows[1] = [KEYS[0], ods_cell(7, 'table:number-columns-repeated="2"')]
    tail = (
        '<table:table-row table:number-rows-repeated="1048000"><table:table-cell '
        'table:number-columns-repeated="16384"/></table:table-row>'
    )
    file = ods(
        tmp_path / "labs.ods", ods_table(rows).replace("</table:table>", f"{tail}</table:table>")
    )
    assert workbook_table(file, text=["case_id"]).to_pylist()[0] == {
        "case_id": KEYS[0],
        "a": 7.0,
        "b": 7.0,
    }


def test_an_xls_says_what_it_does_not_tell_and_reads_both_date_systems(tmp_path):
    rows = column([date(2024, 1, 1), "#N/A", None])
    for name, since_1904, day in (("a.xls", False, "2024-01-01"), ("b.xls", True, "2028-01-02")):
        file = xls(tmp_path / name, rows, since_1904=since_1904)
        assert str(workbook_table(file, text=["case_id"]).column("a")[0]) == day
    assert "does not tell which rows and columns are hidden" in remarks(tmp_path / "a.xls")


def test_values_of_formulas_are_read_and_what_was_never_computed_is_refused_by_its_cell(tmp_path):
    rows = labs()
    rows[1][1], rows[4][2] = "=1+1", "=A1"
    file = xlsx(tmp_path / "labs.xlsx", rows)
    with pytest.raises(ReadError, match="has none in B2, C5") as refusal:
        workbook_table(file)
    assert refusal.value.code == "formula_value"
    computed = with_part(
        file,
        "xl/worksheets/sheet1.xml",
        lambda xml: xml.replace(b"<f>1+1</f><v></v>", b"<f>1+1</f><v>2</v>").replace(
            b'<c r="C5"><f>A1</f><v></v>', b'<c r="C5" t="str"><f>A1</f><v></v>'
        ),
    )
    table = workbook_table(computed, text=["case_id"]).to_pydict()
    assert table["a"][0] == 2.0 and table["b"][3] is None


def test_a_formula_of_an_ods_without_a_value_is_refused_by_its_cell(tmp_path):
    rows = labs()
    rows[2][2] = '<table:table-cell table:formula="of:=1+1"/>'
    with pytest.raises(ReadError, match="has none in C3"):
        workbook_table(ods(tmp_path / "labs.ods", ods_table(rows)))


def test_of_several_sheets_one_has_to_be_named(tmp_path):
    def change(book):
        book.create_sheet("notes").append(["case_id", "b"])
        book["notes"].append(["x1", 2])
        book.create_sheet("old")["C5"] = 1
        book["old"].sheet_state = "hidden"

    file = xlsx(tmp_path / "labs.xlsx", labs(), change)
    with pytest.raises(ReadError, match=r"cells in 'labs', 'notes', 'old' \(hidden\)") as refusal:
        read_header(file)
    assert refusal.value.code == "sheet"
    with pytest.raises(ReadError, match=r"no sheet 'labz', it has 'labs', 'notes', 'old' \(hidden"):
        read_table(file, form=TableForm(sheet="labz"))
    assert read_header(file, TableForm(sheet="notes")) == ("case_id", "b")
    assert remarks(file, sheet="notes") == "other sheets of it are not read: 'labs', 'old' (hidden)"
    assert "its sheet is hidden, and read" in remarks(
        xlsx(
            tmp_path / "h.xlsx",
            [["a", "b"]],
            lambda b: (
                b.active.append(["x", 1]),
                b.create_sheet("v"),
                setattr(b.active, "sheet_state", "hidden"),
            ),
        )
    )


def test_titles_second_headers_and_lines_of_sums_are_no_cases_and_are_said(tmp_path):
    rows = [
        ["Laboratory of the ward"],
        [],
        *labs(),
        ["mean", 5.5, 5.75],
        [None, 66, 69],
        [],
        ["Source: analyser of the ward", None, None],
    ]
    rows.insert(3, [None, "g/dl", "mmol/l"])
    file = xlsx(tmp_path / "labs.xlsx", rows)
    table = workbook_table(file, key=["case_id"], text=["case_id"])
    assert table.column("case_id").to_pylist() == KEYS
    assert table.column("a").to_pylist() == [float(at) for at in range(12)]
    said = remarks(file, key=["case_id"])
    assert "1 line above the header, not read" in said
    assert "line 4 of the sheet: a second header: not read" in said
    assert "lines 17, 18, 20 of the sheet: no row of a case" in said
    numbers = read_numbers([file], "case_id", (), (), "refuse")
    assert list(numbers.values.index) == KEYS and numbers.said.remarks == said.split(" | ")


def test_a_key_between_two_cases_that_looks_like_a_sum_stays(tmp_path):
    rows = labs()
    rows[5][0] = "total"
    table = workbook_table(xlsx(tmp_path / "labs.xlsx", rows), key=["case_id"])
    assert table.num_rows == 12


def test_keys_that_are_numbers_are_told_and_too_many_digits_are_refused(tmp_path):
    file = xlsx(tmp_path / "labs.xlsx", [["id", "a"], [1, 2.5], [20, 3]])
    assert read_frame(file)["id"].tolist() == ["1", "20"]
    assert number_columns(file) == ["id", "a"]
    long = xlsx(tmp_path / "long.xlsx", [["id", "a"], [1234567890123456, 2.5], [2, 3]])
    with pytest.raises(ReadError, match="1 of more than 15 digits") as refusal:
        read_frame(long, form=TableForm(key=("id",)))
    assert refusal.value.code == "key_number"


def test_decimal_commas_limits_and_codes_mean_in_a_workbook_what_they_mean_in_a_csv(tmp_path):
    rows = column([1.5, "2,5", "<0,5", -999, "NA", 3])
    form = TableForm(decimal=",", below="limit", missing_codes=("-999",))
    file = xlsx(tmp_path / "labs.xlsx", rows)
    found = read_numbers([file], "case_id", ("a",), (), "refuse", form=form).values["a"]
    np.testing.assert_allclose(found, [1.5, 2.5, 0.5, np.nan, np.nan, 3])


def test_notes_may_lie_in_a_workbook(tmp_path):
    file = xlsx(tmp_path / "notes.xlsx", column([f"No lesion in {key}.\nSigned." for key in KEYS]))
    assert read_text_table([file], "case_id")["a"].tolist()[3] == "No lesion in 0004.\nSigned."


def test_columns_twice_and_repeated_keys_are_refused_as_in_a_csv(tmp_path):
    for rows, code in (
        ([["id", "a", "a"], ["x", 1, 2]], "duplicate_column"),
        ([["id", "a"], ["x", 1], ["x", 2]], "duplicate_key"),
        ([["id", "a"]], "no_rows"),
        ([["id", "a"], ["x" * 200, 1], ["y", 1]], "bad_key"),
    ):
        with pytest.raises(ReadError) as refusal:
            check_table(xlsx(tmp_path / "labs.xlsx", rows))
        assert refusal.value.code == code


def test_macros_are_not_run_and_links_not_followed(tmp_path):
    file = with_part(xlsx(tmp_path / "labs.xlsx", labs()), "xl/vbaProject.bin", b"\xcc")
    with_part(file, "xl/externalLinks/externalLink1.xml", b"<externalLink/>")
    assert remarks(file) == (
        "its macros are not run | its links to other books are not followed: "
        "their stored values count"
    )


def test_a_date_before_all_dates_is_an_error_and_not_midnight(tmp_path):
    book = openpyxl.Workbook()
    for row in (["case_id", "day", "change"], ["a", -3, -3], ["b", 45353, 2]):
        book.active.append(row)
    book.active["B2"].number_format = book.active["B3"].number_format = "yyyy-mm-dd"
    book.active["C2"].number_format = "0.0"
    book.save(tmp_path / "b.xlsx")
    table = workbook_table(tmp_path / "b.xlsx", text=("day",))
    assert table["day"].to_pylist() == ["", "2024-03-02"]
    assert table["change"].to_pylist() == [-3, 2]
    assert remarks_of(table) == ["cells that hold an error, taken for missing: 1 in day"]


def test_a_length_of_time_is_hours_beyond_a_day(tmp_path):
    rows = column([timedelta(hours=30, minutes=5), "x"])
    assert read_frame(xlsx(tmp_path / "labs.xlsx", rows))["a"].tolist() == ["30:05:00", "x"]
