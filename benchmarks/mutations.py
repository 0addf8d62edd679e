"""Every mask of the network broken, one at a time, in a copy: made a multiplication (NaN times
nothing is NaN), and left out. Which tests notice?

Each is a `torch.where(mask, value, 0.0)` of the encoders, the fusions and the model; the tests of
that part run until three of them fail. A mask behind another
one, which lets no NaN through, may well be a multiplication: only the tests of the one before it
notice. Left out, every one must be noticed.

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
    "fusion": ["tests/fusion/test_fusion.py", "tests/fusion/test_families.py"],
    "encoders": [
        "tests/encoders/test_encoders.py",
        "tests/readers/test_waveforms.py",
        "tests/encoders/test_fine_tuning.py",
        "tests/model/test_network.py",
    ],
    "model": ["tests/model/test_network.py"],
}
MULTIPLIED, LEFT_OUT = "multiplied", "left out"


def masks(source: str) -> Iterator[tuple[int, str, str]]:
    """Line of each mask, how it is broken, and the source in which it is."""
    tree = ast.parse(source)
    for node in [node for node in ast.walk(tree) if _is_mask(node)]:
        for how in (MULTIPLIED, LEFT_OUT):
            broken = _Break(node.lineno, node.col_offset, how).visit(copy.deepcopy(tree))
            yield node.lineno, how, ast.unparse(ast.fix_missing_locations(broken))


def _is_mask(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "where"
        and ast.unparse(node.func.value) == "torch"
        and len(node.args) == 3
        and isinstance(node.args[2], ast.Constant)
        and isinstance(node.args[2].value, float)
    )


class _Break(ast.NodeTransformer):
    def __init__(self, line: int, column: int, how: str) -> None:
        self.place, self.how = (line, column), how

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """Exchange the one at the place."""
        self.generic_visit(node)
        if not (_is_mask(node) and (node.lineno, node.col_offset) == self.place):
            return node
        return ast.copy_location(
            ast.BinOp(node.args[1], ast.Mult(), node.args[0])
            if self.how == MULTIPLIED
            else node.args[1],
            node,
        )


def noticed(copied: Path, tests: list[str]) -> list[str]:
    """Names of the first tests that fail on a copy."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--tb=no",
        "--maxfail=3",
        "-m",
        "not slow",
        "-rfE",
        *tests,
    ]
    environment = {**os.environ, "PYTHONPATH": str(copied), "OMP_NUM_THREADS": "1"}
    out = subprocess.run(
        command, cwd=copied, env=environment, capture_output=True, text=True, check=False
    ).stdout
    return [
        f"{name}[{case}]" if case else name
        for name, case in re.findall(
            r"^(?:FAILED|ERROR) \S+::(\w+)(?:\[(.*?)\])?", out, flags=re.MULTILINE
        )
    ]


def main() -> int:
    """Mutate, test, print; the exit code says whether a mask was not noticed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", help="masks of the files whose name ends so")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        copied = Path(temporary)
        for name in ("mmdiag", "tests", "flows", "dashboards", "data_contracts", "benchmarks"):
            shutil.copytree(
                ROOT / name, copied / name, ignore=shutil.ignore_patterns("__pycache__")
            )
        shutil.copy(ROOT / "pyproject.toml", copied)
        for part, tests in PARTS.items():
            for file in sorted(
                path
                for path in (ROOT / "mmdiag").rglob("*.py")
                if part in path.relative_to(ROOT).parts and path.name.endswith(asked.only)
            ):
                place = copied / file.relative_to(ROOT)
                for line, how, broken in masks(file.read_text()):
                    place.write_text(broken)
                    rows.append(
                        {
                            "mask": f"{file.relative_to(ROOT)}:{line}",
                            "how": how,
                            "noticed_by": noticed(copied, tests),
                        }
                    )
                    if not asked.json:
                        print(
                            f"{rows[-1]['mask']} {how}: "
                            f"{', '.join(rows[-1]['noticed_by']) or 'nothing failed'}",
                            flush=True,
                        )
                place.write_text(file.read_text())
    missed = [row["mask"] for row in rows if not row["noticed_by"] and row["how"] == LEFT_OUT]
    if asked.json:
        print(json.dumps({"benchmark": "mutations", "rows": rows, "missed": missed}))
    else:
        multiplied = sum(bool(row["noticed_by"]) for row in rows if row["how"] == MULTIPLIED)
        print(
            f"{len(rows) // 2} masks: {multiplied} noticed as multiplications, {len(missed)} not "
            "noticed where they are left out"
        )
    return 1 if missed or not rows else 0


if __name__ == "__main__":
    sys.exit(main())
