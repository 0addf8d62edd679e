"""A Prefect server that the user names and that is none is said at once, with the cure."""

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.server import a_home, a_server, require_server
from mmdiag.failures import StepFailed


@pytest.fixture
def answering() -> Iterator[tuple[str, list[int]]]:
    """An address, and the status that it answers with."""
    status = [200]

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status[0])
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/api", status
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("status", [200, 401, 503])
def test_a_server_that_answers_is_taken(
    answering: tuple[str, list[int]], status: int, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    url, answer = answering
    answer[0] = status
    monkeypatch.setenv("PREFECT_API_URL", url)
    with a_server(tmp_path) as ready:  # type: ignore[arg-type]
        ready()


def test_a_service_that_is_no_prefect_server_is_said(answering: tuple[str, list[int]]) -> None:
    url, answer = answering
    answer[0] = 404
    with pytest.raises(StepFailed, match=r"another service answers there: .*unset PREFECT_API_URL"):
        require_server(url)


@pytest.mark.parametrize(
    ("url", "fact"),
    [
        ("http://jane:secret@127.0.0.1:1/api", "nobody answers there"),
        ("http://127.0.0.1:99999/api", "no"),
        ("127.0.0.1:4200/api", "that is no http address"),
        ("ftp://127.0.0.1/api", "that is no http address"),
    ],
)
def test_an_address_where_nobody_answers_is_said_without_its_password(url: str, fact: str) -> None:
    with pytest.raises(StepFailed, match=f"{fact}.*prefect server start") as failed:
        require_server(url)
    assert "secret" not in str(failed.value) and failed.value.exit_code == 1


@pytest.fixture
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace whose Prefect home is mmdiag's own."""
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "w" / "prefect"))
    return tmp_path / "w"


def test_two_commands_at_once_have_a_database_each(
    own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with a_home(own_home) as first:
        monkeypatch.setenv("PREFECT_HOME", str(own_home / "prefect"))  # as another process has it
        with a_home(own_home) as second:
            assert first.folder != second.folder and first.log != second.log
    with a_home(own_home) as again:
        assert again.folder == first.folder, "the history stays with who comes later"


def test_a_command_that_is_wrong_use_leaves_no_home(own_home: Path) -> None:
    def fail(error: StepFailed) -> None:
        with a_home(own_home) as home:
            (home.folder / "prefect.db").write_text("history")
            home.log.parent.mkdir()
            home.log.write_text("said")
            raise error

    for error, left in ((StepFailed("x", exit_code=2), False), (StepFailed("x"), True)):
        with pytest.raises(StepFailed):
            fail(error)
        assert own_home.exists() is left


def test_the_history_of_earlier_commands_stays_where_a_later_one_is_wrong_use(
    own_home: Path,
) -> None:
    with a_home(own_home) as home:
        (home.folder / "prefect.db").write_text("history")
    with pytest.raises(StepFailed), a_home(own_home):
        raise StepFailed("x", exit_code=2)
    assert (home.folder / "prefect.db").read_text() == "history"


def test_the_home_that_a_user_names_is_used_and_never_taken_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "mine"))
    (tmp_path / "mine").mkdir()
    with pytest.raises(StepFailed), a_home(tmp_path / "w"):
        raise StepFailed("x", exit_code=2)
    with a_home(tmp_path / "w") as home:
        assert home.folder == tmp_path / "mine" and home.folder.is_dir() and not home.ours
