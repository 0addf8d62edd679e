"""README.md and the pages of docs/: every command is run or is known to exist, every cohort.toml is
read, no table is wider than a screen, every link leads somewhere.
"""

import re
import shlex
import shutil
import tomllib
import zipfile
from pathlib import Path

import click
import pytest
from repository import ROOT

README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
KEPT = ROOT / "tests" / "kept" / "workspace-226f31c.zip"
PHANTOM = {"cases": 20, "seed": 5, "missing": 0.2, "broken": 2}  # of the kept workspace
NAMES = {
    "CASE_ID": "P20S5-0003",
    "BUNDLE": "workspace/bundles/b-381c6ffa29ea",
    "COHORT_NAME": "phantom-additive-20-5-m20-b2",
}
HELP_ONLY = {
    "mmdiag run": "starts a Prefect server and trains; tests/flows/test_run.py runs it",
    "mmdiag refit": "trains; tests/lifecycle/test_refit.py runs it",
    "mmdiag fetch": "reads a data warehouse; tests/warehouse runs it",
    "mmdiag up": "starts services that stay; tests/services/test_up.py runs it",
    "mmdiag dashboard": "serves until it is interrupted; tests/dashboards serve it",
}
NOT_RUN = {
    "make demo": "builds an environment and trains on 160 cases",
    "make dashboard": "serves until it is interrupted",
}
SCREEN = 100


def commands(text: str) -> list[str]:
    """Lines of the blocks without a language, without their comments."""
    blocks = [body for language, body in BLOCK.findall(text) if language in ("", "sh")]
    lines = [line.split("  #")[0].strip() for body in blocks for line in body.splitlines()]
    return [line for line in lines if line and not line.startswith("export ")]


def run(command: str) -> int:
    from mmdiag.cli import boundary, cli

    return boundary.run(cli, shlex.split(command)[1:])


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A phantom, described by `cohort.toml`, and the workspace of a finished run of it."""
    from mmdiag.phantom import write_phantom

    folder = tmp_path_factory.mktemp("readme")
    write_phantom(folder, **PHANTOM)
    with zipfile.ZipFile(KEPT) as archive:
        archive.extractall(folder / "workspace")
    shutil.move(folder / "workspace" / "cohort.toml", folder / "cohort.toml")
    return folder


@pytest.fixture
def cohort(made, tmp_path):
    """The same for one command: what another one changed is not there."""
    return shutil.copytree(made, tmp_path / "readme")


def test_every_kind_of_modality_is_described():
    from mmdiag.kinds import KINDS

    interface = (ROOT / "docs" / "interface.md").read_text()
    concepts = (ROOT / "docs" / "concepts.md").read_text()
    listed = re.search(r'kind = "image" +# (.*)', README)
    assert listed and listed[1].split(" | ") == ["image", "text", "table", "signal", "embedding"]
    assert set(listed[1].split(" | ")) == set(KINDS)
    for name, kind in KINDS.items():
        assert f'kind = "{name}"' in interface and name in concepts
        section = interface.split(f'kind = "{name}"')[1].split("[modalities.")[0].split("```")[0]
        required = {"encoder", "revision", "licence"} & set(kind.keys)
        assert all(f"\n{key} = " in section for key in required), name


def test_every_command_of_the_readme_is_run_or_is_not_for_a_reason():
    programs = {" ".join(command.split()[:2]) for command in commands(README)}
    assert {name for name in programs if not name.startswith("mmdiag ")} == set(NOT_RUN)
    assert set(HELP_ONLY) <= programs, "a reason for a command that is not there"


@pytest.mark.parametrize("command", [c for c in commands(README) if c.startswith("mmdiag ")])
def test_a_command_of_the_readme_does_what_it_says(command, cohort, monkeypatch, capsys):
    monkeypatch.chdir(cohort)
    for placeholder, value in NAMES.items():
        command = command.replace(placeholder, value)
    only_help = " ".join(command.split()[:2]) in HELP_ONLY
    code = run(f"{command} --help" if only_help else command)
    assert code in (0, 3), capsys.readouterr().err
    if "--out" in command and not only_help:
        target = command.split("--out ")[1].split()[0]
        assert (cohort / target).is_file() or target == "contracts.html"


def test_the_targets_of_make_are_there():
    makefile = (ROOT / "Makefile").read_text()
    assert all(f"\n{name.removeprefix('make ')}:" in makefile for name in NOT_RUN)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_of_a_page_and_its_options_exist(page):
    from mmdiag.cli import cli

    for line in commands(page.read_text()):
        words = shlex.split(line)
        if words[0] != "mmdiag":
            continue
        found: click.Command = cli
        for word in words[1:]:
            if not isinstance(found, click.Group):
                break
            assert word in found.commands, line
            found = found.commands[word]
        options = {name for parameter in found.params for name in parameter.opts}
        unknown = {word for word in words if word.startswith("--")} - options
        assert not unknown, f"{line}: {unknown}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_cohort_toml_of_a_page_is_read(page, tmp_path):
    from mmdiag.description import read_description

    for language, body in BLOCK.findall(page.read_text()):
        if language != "toml":
            continue
        described = tomllib.loads(body)
        body = re.sub(r'^root = "[^"]*"', 'root = "."', body, flags=re.MULTILINE)
        body = re.sub(r'^also_read = \["[^"]*"\]', 'also_read = ["."]', body, flags=re.MULTILINE)
        (tmp_path / "cohort.toml").write_text(body)
        for name in re.findall(r'^(?:table|gene_names|gene_sets) = "([^"]+)"', body, re.MULTILINE):
            (tmp_path / name).touch()
        found = read_description(tmp_path / "cohort.toml")
        assert set(found.modalities) == set(described["modalities"])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_line_of_a_page_is_wider_than_a_screen(page):
    wide = [line for line in page.read_text().splitlines() if len(line) > SCREEN]
    assert not wide, wide


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file(page):
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / Path(target)).is_file(), target


def test_every_package_has_its_line_in_the_file_tree():
    tree = README.split("## Where things are")[1].split("```")[1]
    packages = {p.parent.name for p in (ROOT / "mmdiag").glob("*/__init__.py")}
    assert packages == set(re.findall(r"^  (\w+)/", tree, re.MULTILINE))
