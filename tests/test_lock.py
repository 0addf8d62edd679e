"""requirements.lock names what is installed, each package with the hash of its file, at the
versions of constraints.txt; `make audit` never takes silence for good news.
"""

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from repository import ROOT

LOCK = (ROOT / "requirements.lock").read_text()
LINE = re.compile(r"([\w.-]+)==([\w.!+]+) --hash=sha256:[0-9a-f]{64}")
PINS = [line for line in LOCK.splitlines() if not line.startswith("#")]
LOCKED = {canonicalize_name(found[1]): found[2] for line in PINS if (found := LINE.fullmatch(line))}
BUILDS = {"setuptools"}  # brought by pip itself where constraints.txt is used


def constrained() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in pins}


def installed_for(requirements: list[str]) -> set[str]:
    """The names of what these need, and of what that needs, here."""
    found: set[tuple[str, frozenset[str]]] = set()
    todo = [(text, frozenset({""})) for text in requirements]
    while todo:
        text, extras = todo.pop()
        wanted = Requirement(text)
        needed = any(
            wanted.marker is None or wanted.marker.evaluate({**default_environment(), "extra": e})
            for e in extras
        )
        key = (canonicalize_name(wanted.name), frozenset({"", *wanted.extras}))
        if needed and key not in found:
            found.add(key)
            todo += [(text, key[1]) for text in importlib.metadata.requires(key[0]) or []]
    return {name for name, _ in found}


def test_every_line_of_the_lock_is_one_file_by_its_hash():
    assert len(PINS) == len(LOCKED) > 150, [line for line in PINS if not LINE.fullmatch(line)]
    assert [*LOCKED] == sorted(LOCKED)


def test_the_lock_says_for_which_python_platform_and_index_it_is():
    header = LOCK.split("\n", 9)[:9]
    assert "# For: CPython 3.11, Linux x86_64." in header
    assert any("PyPI" in line for line in header) and "make lock" in LOCK


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the lock is of Python 3.11")
def test_the_lock_names_whatever_the_project_its_tests_and_its_build_need():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    needed = installed_for(
        [
            *project["project"]["dependencies"],
            *project["project"]["optional-dependencies"]["dev"],
            *project["build-system"]["requires"],
        ]
    )
    assert len(needed) > 100 and needed <= set(LOCKED), needed - set(LOCKED)


def test_the_lock_takes_the_versions_of_the_constraints():
    pins = constrained()
    assert set(LOCKED) - set(pins) == BUILDS
    assert {name: pins[name] for name in LOCKED if name in pins} == {
        name: Version(version).public for name, version in LOCKED.items() if name in pins
    }


def test_what_the_lock_leaves_out_belongs_to_options_alone():
    """MLflow, scikit-survival and the driver of PostgreSQL, which `make .venv` does not install."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    options = project["project"]["optional-dependencies"]
    optional = {"mlflow-skinny", "scikit-survival", "psycopg"}
    named = {
        Requirement(text).name for key, texts in options.items() for text in texts if key != "dev"
    }
    assert named == optional <= set(constrained()) - set(LOCKED)


def test_the_locked_installation_checks_hashes_and_fetches_nothing_beside_the_lock():
    make = shutil.which("make")
    if make is None:
        pytest.skip("no make on this machine: apt-get install make")
    said = subprocess.run(
        [make, "-n", "-B", "LOCKED=1", ".venv"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    installs = [line for line in said.splitlines() if "pip install" in line]
    assert "venv --clear" in said and len(installs) == 3
    assert all("--require-hashes" in line for line in installs[:2])
    assert all("--no-build-isolation" in line for line in installs[1:])
    assert all("--no-deps" in line for line in installs[1:])
    assert installs[2].endswith("-e .") and "pip check" in said


def lock_of(report: dict) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / ".ci" / "lock.py")],
        input=json.dumps(report),
        capture_output=True,
        text=True,
        check=False,
    )


def resolved(name: str, **info: object) -> dict:
    return {"metadata": {"name": name, "version": "1.0"}, "download_info": info}


PLACE = {
    "platform_python_implementation": "CPython",
    "python_version": "3.11",
    "platform_system": "Linux",
    "platform_machine": "x86_64",
}
FILE = {"url": "file:///somewhere/x.whl", "archive_info": {"hashes": {"sha256": "a" * 64}}}


def test_a_resolution_becomes_a_lock_without_the_places_of_this_machine():
    packages = [resolved("b_b", **FILE), resolved("a", **FILE), resolved("mmdiag", dir_info={})]
    done = lock_of({"environment": PLACE, "install": packages})
    lines = [line for line in done.stdout.splitlines() if not line.startswith("#")]
    assert lines == [f"{name}==1.0 --hash=sha256:{'a' * 64}" for name in ("a", "b_b")]
    assert "somewhere" not in done.stdout and done.returncode == 0
    assert "CPU build" not in done.stdout, "which is said where it is so"


def test_a_package_without_a_hash_makes_no_lock():
    done = lock_of({"environment": PLACE, "install": [resolved("a", vcs_info={})]})
    assert done.returncode == 1 and not done.stdout and "a has none" in done.stderr


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        ('{"dependencies": [{"name": "a", "version": "1", "vulns": []}]}', 0, "0 known"),
        (
            '{"dependencies": [{"name": "a", "version": "1", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2"]}]}]}',
            1,
            "a 1: PYSEC-1, mended in: 2",
        ),
        ('{"dependencies": [{"name": "a", "skip_reason": "not found"}]}', 2, "nothing is known"),
        ('{"dependencies": []}', 2, "nothing is known"),
        ("", 2, "nothing is known"),
    ],
)
def test_an_audit_that_got_no_answer_says_so_and_does_not_pass(tmp_path, answer, code, words):
    program = tmp_path / "pip-audit"
    program.write_text(f"#!{sys.executable}\nimport sys\nprint({answer!r})\nsys.exit(1)\n")
    program.chmod(0o700)
    lock = tmp_path / "lock"
    lock.write_text(f"# a comment\na==1+cpu --hash=sha256:{'a' * 64}\n")
    done = subprocess.run(
        [sys.executable, str(ROOT / ".ci" / "audit.py"), str(program), str(lock)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    said = done.stdout + done.stderr
    assert done.returncode == code and words in said and "Traceback" not in said, said
