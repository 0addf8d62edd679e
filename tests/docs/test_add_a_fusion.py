"""docs/guides/add-a-fusion.md does what it says: a family that pools and one that stacks."""

import re

import pytest
from guide import copy_checkout, follow
from repository import ROOT

pytestmark = pytest.mark.slow  # a guide, tried from its text in a copy of the project


def test_a_fusion_that_is_added_by_the_guide_passes_the_contract(tmp_path):
    checkout = copy_checkout(tmp_path / "checkout", "tests/fusion")
    assert len(follow("add-a-fusion.md", checkout, programs=("pytest",))) == 2


@pytest.mark.slow
def test_a_fusion_that_is_added_by_the_guide_trains_on_a_phantom(tmp_path):
    checkout = copy_checkout(tmp_path / "checkout")
    assert len(follow("add-a-fusion.md", checkout, programs=("mmdiag",))) == 3


def test_a_fusion_takes_one_file_and_one_line():
    page = (ROOT / "docs" / "guides" / "add-a-fusion.md").read_text().split("## A family that")[0]
    assert len(re.findall(r"^Write ", page, re.MULTILINE)) == 1
    assert len(re.findall(r"^In `", page, re.MULTILINE)) == 1
