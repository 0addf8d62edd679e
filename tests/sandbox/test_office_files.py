"""Workbooks and Word documents are read in the sandbox alone: each file has its verdict, and the
process that asks stays small.
"""

import resource
import subprocess
import sys

import docx
from workbook_builders import labs, ods, ods_table, with_part, xls, xlsx

from mmdiag.ingest.inspect import inspect


def test_each_form_has_its_verdict_and_a_bomb_costs_the_parent_nothing(tmp_path):
    xlsx(tmp_path / "a.xlsx", labs())
    xls(tmp_path / "b.xls", labs())
    ods(tmp_path / "c.ods", ods_table(labs()))
    document = docx.Document()
    document.add_paragraph("No lesion.")
    document.save(tmp_path / "d.docx")
    (tmp_path / "e.docx").write_text("No lesion.")
    xlsx(tmp_path / "f.xlsx", labs(), lambda book: book.create_sheet("more").append([1]))
    with_part(xlsx(tmp_path / "g.xlsx", labs()), "xl/media/a.bin", bytes(2**27))
    rows = "".join(f"<row><c><v>{number}</v></c></row>" for number in range(60_000)).encode()
    for name in ("h.xlsx", "i.xlsx"):
        with_part(
            xlsx(tmp_path / name, labs()),
            "xl/worksheets/sheet1.xml",
            lambda xml: xml.replace(b"<sheetData>", b"<sheetData>" + rows),
        )
    with_part(tmp_path / "i.xlsx", "xl/worksheets/sheet1.xml", lambda xml: xml[:-200])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = {one["path"][-6:].strip("/"): (one["kind"], one["code"]) for one in inspect([tmp_path])}
    grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert found == {
        "a.xlsx": ("table", ""),
        "b.xls": ("table", ""),
        "c.ods": ("table", ""),
        "d.docx": ("note", ""),
        "e.docx": ("note", "not_text"),
        "f.xlsx": ("table", "sheet"),
        "g.xlsx": ("table", "too_large"),
        "h.xlsx": ("table", ""),
        "i.xlsx": ("table", "unreadable"),
    }
    assert grown_mb < 64


def test_no_library_of_these_forms_is_imported_where_no_such_file_is_read():
    code = (
        "import sys, mmdiag.cli, mmdiag.ingest.inspect, mmdiag.cohort.scaffold;"
        "print([m for m in ('python_calamine', 'docx', 'lxml', 'openpyxl', 'defusedxml')"
        " if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
