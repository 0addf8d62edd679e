"""The house keeps its size: no folder and no file grows past what can be taken in at once."""

import ast

import pytest
from repository import ROOT

MODULES, AT_THE_ROOT, LINES, FUNCTION = 15, 14, 400, 55
PACKAGES = ("mmdiag", "flows", "dashboards")
FILES = sorted(file for name in PACKAGES for file in (ROOT / name).rglob("*.py"))


@pytest.mark.parametrize(
    "folder", sorted({file.parent for file in FILES}), ids=lambda folder: folder.name
)
def test_a_folder_holds_few_modules(folder):
    most = AT_THE_ROOT if folder == ROOT / "mmdiag" else MODULES
    assert len(list(folder.glob("*.py"))) <= most


def test_no_file_is_longer_than_four_hundred_lines():
    long = {str(file.relative_to(ROOT)): len(file.read_text().splitlines()) for file in FILES}
    assert len(long) > 300 and {name: n for name, n in long.items() if n > LINES} == {}


def test_no_function_is_longer_than_a_screen():
    long = [
        f"{file.relative_to(ROOT)}: {node.name} {node.end_lineno - node.lineno}"
        for file in FILES
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno - node.lineno > FUNCTION
    ]
    assert not long, long


def test_no_module_lies_deeper_than_three_levels():
    root = ROOT / "mmdiag"
    deep = [str(path) for path in root.rglob("*.py") if len(path.relative_to(root).parts) > 3]
    assert not deep
