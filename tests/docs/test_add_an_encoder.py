"""docs/guides/add-an-encoder.md does what it says."""

from guide import copy_checkout, follow


def test_an_encoder_that_is_added_by_the_guide_passes_the_contract_and_trains(tmp_path):
    checkout = copy_checkout(tmp_path / "checkout", "tests/encoders")
    commands = follow("add-an-encoder.md", checkout)
    assert [command.split()[0] for command in commands] == ["pytest", "mmdiag", "mmdiag"]
