"""Follows a page of docs/guides to the letter in a copy of the checkout: writes its files, adds its
lines, runs its commands.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from repository import ROOT

BLOCK = re.compile(r"(?P<before>[^\n]*)\n\n```(?P<language>\w+)\n(?P<body>.*?)```", re.DOTALL)
WRITE = re.compile(r"Write `(?P<path>[^`]+)`:")
ADD = re.compile(r"In `(?P<path>[^`]+)`, after the line `(?P<line>[^`]+)`:")
PARTS = ("mmdiag", "flows", "dashboards", "data_contracts", "tests/support", "pyproject.toml")


def copy_checkout(target: Path, *parts: str) -> Path:
    """What the commands of a guide need: the package, and these further files or folders."""
    for part in (*PARTS, "tests/conftest.py", *parts):
        source = ROOT / part
        (target / part).parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target / part)
    return target


def follow(guide: str, checkout: Path, programs: tuple[str, ...]) -> list[str]:
    """Do what every block of a page says, of its commands those of the programs; returns the
    commands that were run.
    """
    done = []
    for block in BLOCK.finditer((ROOT / "docs" / "guides" / guide).read_text()):
        before, body = block["before"], block["body"]
        if write := WRITE.fullmatch(before):
            (checkout / write["path"]).write_text(body)
        elif add := ADD.fullmatch(before):
            _add(checkout / add["path"], add["line"], body)
        else:
            assert block["language"] == "sh", f"what is to be done with this block? {body}"
            for command in body.splitlines():
                if command.split()[0] in programs:
                    _run(command, checkout)
                    done.append(command)
    return done


def _add(file: Path, line: str, body: str) -> None:
    lines = file.read_text().splitlines(keepends=True)
    found = [number for number, text in enumerate(lines) if text.strip() == line]
    assert len(found) == 1, f"{file.name} must have the line {line!r} once, has it {len(found)}x"
    lines.insert(found[0] + 1, body)
    file.write_text("".join(lines))


def _run(command: str, checkout: Path) -> None:
    program, *arguments = shlex.split(command)
    environment = {**os.environ, "PYTHONPATH": str(checkout), "PYTHONDONTWRITEBYTECODE": "1"}
    found = subprocess.run(
        [sys.executable, "-m", program, *arguments],
        cwd=checkout,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, f"{command}\n{found.stdout[-3000:]}\n{found.stderr[-3000:]}"
    if program == "pytest":
        assert re.search(r"[1-9]\d* passed", found.stdout), found.stdout[-1000:]
