"""Every mask of the network made a multiplication, one at a time: tests must fail, because NaN times nothing is NaN, and what is behind a mask would be read.

Each `torch.where(mask, value, 0.0)` of the encoders, the fusions and the model becomes `value * mask` in a copy, on which the tests of that part run until three of
them fail. Printed is a row a mask: where it is, and which tests noticed.

python benchmarks/mutations.py [--only stored.py] [--json]
"""

import argparse
import ast
import copy
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PARTS = {
    "fusion": ["tests/test_fusion.py"],
    "encoders": ["tests/test_encoders.py", "tests/test_signals.py", "tests/test_fine_tuning.py", "tests/test_model.py"],
    "model.py": ["tests/test_model.py"],
}


def masks(source: str) -> Iterator[tuple[int, str]]:
    """Line and mutated source of each mask."""
    tree = ast.parse(source)
    found = [node for node in ast.walk(tree) if _is_mask(node)]
    for node in found:
        fresh = copy.deepcopy(tree)
        line, column = node.lineno, node.col_offset
        yield line, ast.unparse(ast.fix_missing_locations(_Multiply(line, column).visit(fresh)))


def _is_mask(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "where" and ast.unparse(node.func.value) == "torch"
        and len(node.args) == 3 and isinstance(node.args[2], ast.Constant) and node.args[2].value == 0.0
    )  # fmt: skip


class _Multiply(ast.NodeTransformer):
    def __init__(self, line: int, column: int) -> None:
        self.place = line, column

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """Exchange the one at the place."""
        self.generic_visit(node)
        if _is_mask(node) and (node.lineno, node.col_offset) == self.place:
            return ast.copy_location(ast.BinOp(node.args[1], ast.Mult(), node.args[0]), node)
        return node


def noticed(copied: Path, tests: list[str]) -> list[str]:
    """Names of the first tests that fail on a copy."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=no", "--maxfail=3", "-m", "not slow", "-rfE", *tests]
    environment = {**os.environ, "PYTHONPATH": str(copied), "OMP_NUM_THREADS": "1"}
    out = subprocess.run(command, cwd=copied, env=environment, capture_output=True, text=True, check=False).stdout
    return [f"{name}[{case}]" if case else name for name, case in re.findall(r"^(?:FAILED|ERROR) \S+::(\w+)(?:\[(.*?)\])?", out, flags=re.MULTILINE)]


def main() -> int:
    """Mutate, test, print; the exit code says whether a mask was not noticed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="masks of the files whose name ends so")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        copied = Path(temporary)
        for name in ("mmdiag", "tests", "flows", "dashboards", "data_contracts", "benchmarks"):
            shutil.copytree(ROOT / name, copied / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", copied)
        for part, tests in PARTS.items():
            for file in sorted(path for path in (ROOT / "mmdiag").rglob("*.py") if part in path.relative_to(ROOT).parts and path.name.endswith(asked.only)):
                place = copied / file.relative_to(ROOT)
                for line, mutated in masks(file.read_text()):
                    place.write_text(mutated)
                    rows.append({"mask": f"{file.relative_to(ROOT)}:{line}", "noticed_by": noticed(copied, tests)})
                    if not asked.json:
                        print(f"{rows[-1]['mask']}: {', '.join(rows[-1]['noticed_by']) or 'NOTHING FAILED'}", flush=True)
                place.write_text(file.read_text())
    missed = [row["mask"] for row in rows if not row["noticed_by"]]
    if asked.json:
        print(json.dumps({"benchmark": "mutations", "rows": rows, "missed": missed}))
    else:
        print(f"{len(rows)} masks, {len(missed)} not noticed")
    return 1 if missed or not rows else 0


if __name__ == "__main__":
    sys.exit(main())
