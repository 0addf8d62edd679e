"""A Prefect server that the user names and that is none is said at once, with the cure."""

import http.server
import threading
from collections.abc import Iterator

import pytest

from flows.server import a_server, require_server
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
