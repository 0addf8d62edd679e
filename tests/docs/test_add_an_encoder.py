"""docs/guides/add-an-encoder.md does what it says."""

import pytest
from guide import copy_checkout, follow

pytestmark = pytest.mark.slow  # a guide, tried from its text in a copy of the project


def test_an_encoder_that_is_added_by_the_guide_passes_the_contract(tmp_path):
    checkout = copy_checkout(tmp_path / "checkout", "tests/encoders")
    assert len(follow("add-an-encoder.md", checkout, programs=("pytest",))) == 1


@pytest.mark.slow
def test_an_encoder_that_is_added_by_the_guide_trains_on_a_phantom(tmp_path):
    checkout = copy_checkout(tmp_path / "checkout")
    assert len(follow("add-an-encoder.md", checkout, programs=("mmdiag",))) == 2
