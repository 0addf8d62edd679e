"""SECURITY.md: every promise names the tests that hold it, and every test that it names is there."""

import ast
import re
from pathlib import Path

import pytest
from repository import ROOT

PAGE = (ROOT / "SECURITY.md").read_text()
PROMISES = PAGE.split("## Promises, and what holds them")[1]
NAMED = re.findall(r"^ +`([\w/]+\.py)::(\w+)`$", PROMISES, re.MULTILINE)


def functions_of(file: Path) -> set[str]:
    tree = ast.parse(file.read_text())
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize(("file", "name"), NAMED, ids=[name for _, name in NAMED])
def test_a_test_that_the_page_names_exists(file, name):
    assert name in functions_of(ROOT / file)


def test_every_promise_names_a_test_and_nothing_else_is_named():
    promises = re.split(r"^- ", PROMISES, flags=re.MULTILINE)[1:]
    assert len(promises) > 20
    for promise in promises:
        assert re.search(r"^ +`tests/[\w/]+\.py::test_\w+`$", promise, re.MULTILINE), promise
    assert PAGE.count("::") == len(NAMED) == len(set(NAMED))


def test_the_words_of_the_page_fit_a_screen_and_its_links_lead_somewhere():
    wide = [line for line in PAGE.splitlines() if len(line) > 100 and "::" not in line]
    assert not wide, wide
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", PAGE):
        assert (ROOT / target).is_file(), target
