"""Pages of the dashboard without a browser, a published example, and a server of it."""

from pathlib import Path

import pytest
from pages import serving
from published_example import publish
from repository import ROOT


@pytest.fixture(scope="session")
def example(tmp_path_factory):
    return publish(tmp_path_factory.mktemp("published") / "workspace")


@pytest.fixture
def page(monkeypatch):
    from streamlit.testing.v1 import AppTest

    def show(workspace: Path, path: str = "", **parameters: str):
        monkeypatch.setenv("MMDIAG_WORKSPACE", str(workspace))
        monkeypatch.delenv("MMDIAG_LEDGER", raising=False)
        test = AppTest.from_file(str(ROOT / "dashboards" / "main.py"), default_timeout=300)
        if path:
            test = test.run().switch_page(f"views/{path}.py")
        for name, value in parameters.items():
            test.query_params[name] = value
        test = test.run()
        assert not test.exception, test.exception
        return test

    return show


@pytest.fixture
def server(example, tmp_path):
    with serving(example.workspace.path, tmp_path / "log") as address:
        yield address
