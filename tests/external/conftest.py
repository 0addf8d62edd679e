"""Tests of this folder read a folder of real data beside the repository, which is not everywhere:
without it they are deselected and counted.
"""

from pathlib import Path

import pytest

FOLDER = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)  # before -m selects by markers
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test of this folder carries the marker `external`."""
    for item in items:
        if FOLDER in item.path.parents:
            item.add_marker("external")
