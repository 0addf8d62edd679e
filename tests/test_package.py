"""The wheel: it holds everything, and runs in an environment that has never seen the repository."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
from repository import ROOT

SOURCES = (
    "mmdiag",
    "flows",
    "dashboards",
    "data_contracts",
    ".streamlit",
    "prefect.yaml",
    "pyproject.toml",
    "setup.py",
    "MANIFEST.in",
    "README.md",
    "LICENSE",
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of these sources, built from a copy, so that nothing left from an earlier build
    gets into it.
    """
    copy = tmp_path_factory.mktemp("sources")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif (ROOT / name).is_file():
            shutil.copy(ROOT / name, copy / name)
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--quiet",
            "--no-deps",
            "--no-build-isolation",
            "--wheel-dir",
            copy / "dist",
            copy,
        ],
        check=True,
        capture_output=True,
    )
    return next((copy / "dist").glob("mmdiag-*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty environment with the wheel; it borrows the dependencies of this one by path, which
    leaves out this one's editable mmdiag.
    """
    environment = tmp_path_factory.mktemp("environment") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    packages = next(environment.glob("lib/python3*/site-packages"))
    (packages / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "--python",
            environment / "bin" / "python",
            "install",
            "--quiet",
            "--no-deps",
            "--no-index",
            "--ignore-installed",
            wheel,
        ],
        check=True,
        capture_output=True,
    )
    return environment / "bin"


def run(installed: Path, *arguments: object, cwd: Path, expect: tuple[int, ...] = (0,)) -> str:
    away = {
        name: value
        for name, value in os.environ.items()
        if name not in ("PYTHONPATH", "VIRTUAL_ENV")
    }
    done = subprocess.run(
        [installed / "mmdiag", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=away,
        check=False,
    )
    assert done.returncode in expect, done.stderr[-2000:]
    return done.stdout


def test_the_wheel_carries_the_application_and_no_tests(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for needed in (
        "flows/full.py",
        "flows/score.py",
        "dashboards/app.py",
        "data_contracts/cases.yaml",
        "prefect.yaml",
    ):
        assert f"mmdiag/application/{needed}" in names
    assert "mmdiag/py.typed" in names
    assert any(name.endswith(".streamlit/config.toml") for name in names)
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not [name for name in names if "test" in Path(name).name or name.endswith(".pyc")]
    assert {name.split("/")[0].split("-")[0] for name in names} == {"mmdiag"}, (
        "flows and dashboards are too generic as names in site-packages"
    )


def test_the_installed_package_is_not_the_checkout(installed: Path, tmp_path: Path) -> None:
    code = (
        "import mmdiag, mmdiag.application_root as a; print(mmdiag.__file__); "
        "print(a.application_root()); print(mmdiag.__version__)"
    )
    said = subprocess.run(
        [installed / "python", "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True
    ).stdout.splitlines()
    assert Path(said[0]).is_relative_to(installed.parent)
    assert Path(said[1]) == Path(said[0]).parent / "application"
    assert said[2] == "0.1.0"


def test_the_installed_command_takes_a_phantom_all_the_way(installed: Path, tmp_path: Path) -> None:
    run(
        installed, "phantom", "--out", tmp_path / "cohort", "--cases", 20, "--seed", 3, cwd=tmp_path
    )
    answer = json.loads(
        run(
            installed,
            "run",
            "--cohort",
            "cohort/cohort.toml",
            "--workspace",
            "w",
            "--json",
            "--fusion",
            "concat",  # what is asked is whether everything is there
            "--set",
            "training.averaged=false",
            "--set",
            "training.max_epochs=2",
            "--set",
            "evaluation.folds=2",
            cwd=tmp_path,
            expect=(0, 3),
        )
    )
    assert (
        answer["cases"]["in"] == 20 == answer["cases"]["accepted"] + answer["cases"]["quarantined"]
    )
    assert {"fused", *answer["modalities"]} <= {metric["model"] for metric in answer["metrics"]}
    assert Path(answer["predictions"]).is_file()
    status = json.loads(run(installed, "status", "--workspace", "w", "--json", cwd=tmp_path))
    assert [bundle["bundle_id"] for bundle in status["bundles"]] == [answer["bundle"]["id"]]
