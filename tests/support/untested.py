"""Lists what no test enters: modules of which no line ran in the last `make coverage`, and functions
of whose body none did. The list is no gate: it says where a test would find something new.

    python tests/support/untested.py --write   after a run of the tests under coverage
    python tests/support/untested.py           shows what was written last
"""

import argparse
import ast
import io
import sys
from collections.abc import Iterator, Set
from datetime import datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("mmdiag", "flows", "dashboards")
LIST = ROOT / ".untested"
HOW = "make coverage runs the tests and makes the list of what no test enters."
NOTE = (
    "Not measured: what the sandbox's workers run (they may write no file), and processes that "
    "were killed. Listed all the same where nothing else enters it."
)


def untested(source: str, ran: Set[int]) -> list[str]:
    """Names of the functions of a module that were never entered, outermost first.

    Args:
        ran: The numbers of the module's lines that ran; none = the module was never imported.

    Returns:
        Dotted names; a function within one that is listed is not. [""] = the whole module.
    """
    tree = ast.parse(source)
    if not ran:
        return [""] if tree.body else []
    return list(_never_entered(tree, "", ran))


def _never_entered(node: ast.AST, prefix: str, ran: Set[int]) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            name = f"{prefix}{child.name}"
            lines = _lines_of_body(child)
            if lines and not lines & ran:
                yield name
            else:
                yield from _never_entered(child, f"{name}.", ran)
        else:
            inner = f"{prefix}{child.name}." if isinstance(child, ast.ClassDef) else prefix
            yield from _never_entered(child, inner, ran)


def _lines_of_body(function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[int]:
    """Lines that run only when it is called: not its docstring, nor `...`, nor a body that stands
    behind its `def`.
    """
    body = [
        part
        for part in function.body
        if not (isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant))
        and part.lineno > function.lineno
    ]
    return {line for part in body for line in range(part.lineno, (part.end_lineno or 0) + 1)}


def report() -> str:
    """The total, and what no test entered, from the data of the last run under coverage."""
    import coverage

    measured = coverage.Coverage(data_file=str(ROOT / ".coverage"))
    measured.load()
    total = measured.report(file=io.StringIO())
    data = measured.get_data()
    ran = {Path(file).resolve(): set(data.lines(file) or ()) for file in data.measured_files()}
    found = {
        str(path.relative_to(ROOT)): untested(path.read_text(), ran.get(path, set()))
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
    }
    listed = [
        f"  {path}: {', '.join(name or 'the whole module' for name in names)}"
        for path, names in found.items()
        if names
    ]
    number = sum(map(len, found.values()))
    return "\n".join(
        [
            f"Coverage of {datetime.now():%Y-%m-%d %H:%M}: {total:.1f} % of lines; "
            f"no test enters {number} functions or modules:",
            *listed,
            NOTE,
            "",
        ]
    )


def main() -> None:
    """Show the list, or make it first."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="make the list from .coverage first")
    if parser.parse_args().write:
        LIST.write_text(report())
    sys.stdout.write(LIST.read_text() if LIST.is_file() else f"{HOW}\n")


if __name__ == "__main__":
    main()
