"""Who gets into the dashboard: the token of the printed address, then a cookie; nobody else, from
no other page and by no other name.
"""

import asyncio
from datetime import UTC, datetime

import pytest
from pages import CLOSED, TOKEN

from dashboards.access import (
    ENTRANCE,
    Gate,
    issue,
    logged_in_at,
    names_without_ports,
    require_login,
)
from mmdiag.errors import UsageError

PORT = 8601
HOST = f"127.0.0.1:{PORT}"
ORIGIN = f"http://{HOST}"


async def streamlit(scope, receive, send):
    """What stands behind the gate; it would show a case."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        return
    headers = [(b"Cache-Control", b"public, max-age=9")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"a case"})


def gate(**environment: str) -> Gate:
    return Gate(streamlit, issue({"MMDIAG_DASHBOARD_TOKEN": TOKEN, **environment}))


def ask(at: Gate, address: str = "/", kind: str = "http", method: str = "GET", **headers: str):
    """Status (of a websocket whether it is open), headers and body of the answer."""
    path, _, query = address.partition("?")
    shown = {"host": HOST, **headers}
    scope = {
        "type": kind,
        "method": method,
        "scheme": "http" if kind == "http" else "ws",
        "path": path,
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in shown.items()],
        "server": ("127.0.0.1", PORT),
    }
    sent = []

    async def send(message):
        sent.append(message)

    asyncio.run(at(scope, None, send))
    if kind == "websocket":
        return sent[0]["type"] == "websocket.accept"
    named = {key.decode().lower(): value.decode() for key, value in sent[0]["headers"]}
    return sent[0]["status"], named, b"".join(part.get("body", b"") for part in sent[1:])


def cookie(at: Gate) -> str:
    return ask(at, f"/?token={TOKEN}")[1]["set-cookie"].split(";")[0]


@pytest.mark.parametrize("address", CLOSED)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"])
def test_without_the_cookie_nothing_reaches_streamlit(address, method):
    status, headers, body = ask(gate(), address, method=method)
    assert status == 403 and body == ENTRANCE.encode() and headers["cache-control"] == "no-store"


def test_the_root_answers_with_an_empty_page_and_the_health_page_as_ever():
    assert ask(gate())[::2] == (200, ENTRANCE.encode())
    assert ask(gate(), "/_stcore/health")[::2] == (200, b"a case")
    assert ask(gate(), method="POST")[0] == ask(gate(), "/_stcore/health", method="POST")[0] == 403


@pytest.mark.parametrize(
    "shown", ["", "x", TOKEN[:-1], f"{TOKEN}x", TOKEN.upper(), "\udcff%00", "%ff", "\u00e9" * 40]
)
def test_a_wrong_token_lets_nobody_in(shown):
    address = f"/case?token={shown.encode('utf-8', 'ignore').decode()}"
    status, headers, body = ask(gate(), address)
    assert status == 403 and body == ENTRANCE.encode() and "set-cookie" not in headers


def test_the_token_gives_a_cookie_that_is_not_the_token_and_opens_every_page():
    at = gate()
    status, headers, _ = ask(at, f"/?token={TOKEN}")
    assert (status, headers["location"], headers["cache-control"]) == (303, "/", "no-store")
    name, value = headers["set-cookie"].split(";")[0].split("=")
    assert name == f"mmdiag-{PORT}", "the ports of a host share their cookies"
    assert value != TOKEN and TOKEN not in value and len(value) >= 43
    said = headers["set-cookie"].lower().replace(" ", "").split(";")[1:]
    assert set(said) == {"httponly", "samesite=strict", "path=/"}, "and it ends with the browser"
    for address in CLOSED:
        status, headers, body = ask(at, address, cookie=f"other=1; {name}={value}")
        assert (status, body) == (200, b"a case") or "metrics" in address, address
        kept = "public, max-age=9" if address.startswith("/static/") else "no-store"
        assert headers["cache-control"] == kept, "only bundles without data stay in a cache"


def test_pages_that_nobody_needs_do_not_answer_either():
    at = gate()
    for path in ("/_stcore/metrics", "/_stcore/agent/mcp", "/_stcore/script-health-check"):
        assert ask(at, path, cookie=cookie(at))[0] == 404


def test_over_https_the_cookie_stays_there():
    at, sent = gate(MMDIAG_DASHBOARD_HOST="mm.example.org"), []

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "scheme": "https",
        "path": "/",
        "query_string": f"token={TOKEN}".encode(),
        "headers": [(b"host", b"mm.example.org")],
        "server": ("127.0.0.1", PORT),
    }
    asyncio.run(at(scope, None, send))
    assert b"Secure" in dict(sent[0]["headers"])[b"set-cookie"]


@pytest.mark.parametrize(
    ("address", "location"),
    [
        ("/case?case=C-0001&token=T", "/case?case=C-0001"),
        ("/case?token=T&case=C%2F1&cohort=a+b", "/case?case=C%2F1&cohort=a+b"),
        ("/?token=wrong&token=T", "/"),
        ("//evil.test/x?token=T", "/evil.test/x"),
        ("/\\evil.test?token=T", "/evil.test"),
        ("/a\r\nset-cookie: x?token=T", "/a%0D%0Aset-cookie%3A%20x"),
    ],
)
def test_the_address_loses_the_token_and_nothing_else_and_stays_on_this_host(address, location):
    status, headers, _ = ask(gate(), address.replace("=T", f"={TOKEN}"))
    assert (status, headers["location"]) == (303, location)


def test_a_cookie_of_another_start_or_of_another_port_opens_nothing():
    here, restarted = gate(), gate()
    assert ask(here, "/case", cookie=cookie(here))[0] == 200
    assert ask(restarted, "/case", cookie=cookie(here))[0] == 403
    assert ask(here, "/case", cookie=cookie(here).replace("8601", "8602"))[0] == 403
    assert ask(here, "/case", cookie=f"mmdiag-{PORT}={TOKEN}")[0] == 403


def test_a_cookie_tells_when_the_token_was_shown_and_a_changed_one_opens_nothing():
    at = Gate(streamlit, issue({"MMDIAG_DASHBOARD_TOKEN": TOKEN}), clock=lambda: 1_800_000_000.9)
    name, value = cookie(at).split("=")
    assert logged_in_at({name: value}, PORT) == datetime.fromtimestamp(1_800_000_000, UTC)
    assert logged_in_at({name: value}, PORT + 1) is None and logged_in_at({}, PORT) is None
    assert ask(at, "/case", cookie=f"{name}={value}")[0] == 200
    seal = value.partition(".")[2]
    for other in (f"1800009999.{seal}", f"01800000000.{seal}", seal, f".{seal}", "1800000000."):
        assert ask(at, "/case", cookie=f"{name}={other}")[0] == 403


def test_without_login_no_other_name_than_loopback_is_served(tmp_path):
    require_login(issue({}), tmp_path)
    named = issue({"MMDIAG_DASHBOARD_HOST": "mm.example.org"})
    with pytest.raises(UsageError, match=r"loopback alone.*no users\.toml"):
        require_login(named, tmp_path)
    (tmp_path / "users.toml").write_text('[users.anna]\nrole = "reviewer"\n')
    require_login(named, tmp_path)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "null"},
        {"origin": "http://evil.test"},
        {"origin": "http://127.0.0.1:9999"},
        {"origin": "http://127.0.0.1"},
        {"origin": f"http://localhost:{PORT}"},
        {"origin": f"{ORIGIN}.evil.test"},
        {"origin": f"http://x@{HOST}"},
        {"host": "evil.test", "origin": "http://evil.test"},
        {"host": f"evil.test:{PORT}", "origin": f"http://evil.test:{PORT}"},
    ],
)
def test_a_websocket_needs_the_origin_of_its_own_host(headers):
    at = gate()
    assert ask(at, "/_stcore/stream", "websocket", origin=ORIGIN, cookie=cookie(at))
    assert not ask(at, "/_stcore/stream", "websocket", **headers, cookie=cookie(at))


def test_a_websocket_needs_the_cookie_and_takes_no_token():
    assert not ask(gate(), "/_stcore/stream", "websocket", origin=ORIGIN)
    assert not ask(gate(), f"/_stcore/stream?token={TOKEN}", "websocket", origin=ORIGIN)


@pytest.mark.parametrize(
    "host",
    ["evil.test", f"evil.test:{PORT}", "127.0.0.1", "127.0.0.1:80", f"127.0.0.1:{PORT}.x", ""],
)
def test_a_foreign_name_that_leads_here_opens_nothing(host):
    at = gate()
    for address in ("/", "/case", "/_stcore/health", f"/?token={TOKEN}"):
        assert ask(at, address, host=host, cookie=cookie(at))[0] == 403


@pytest.mark.parametrize("host", [f"localhost:{PORT}", f"[::1]:{PORT}", f"LOCALHOST:{PORT}"])
def test_the_names_of_loopback_are_ours(host):
    at = gate()
    assert ask(at, "/case", host=host, cookie=cookie(at))[0] == 200


def test_a_page_of_another_origin_gets_nothing_by_a_cookie_that_the_browser_adds():
    at = gate()
    for origin in ("http://127.0.0.1:9999", "http://evil.test", "null"):
        assert ask(at, "/case", method="POST", origin=origin, cookie=cookie(at))[0] == 403
    assert ask(at, "/case", method="POST", origin=ORIGIN, cookie=cookie(at))[0] == 200


def test_a_proxy_or_a_tunnel_is_let_in_by_the_name_that_was_set():
    at = gate(MMDIAG_DASHBOARD_HOST="mm.example.org localhost:9000")
    origin = "https://mm.example.org"
    shown = {"host": "mm.example.org", "origin": origin, "cookie": cookie(at)}
    assert ask(at, "/case", **shown)[0] == 200
    assert ask(at, "/_stcore/stream", "websocket", **shown)
    assert ask(at, "/case", host="localhost:9000", cookie=cookie(at))[0] == 200
    assert ask(at, "/case", host="mm.example.org:1", cookie=cookie(at))[0] == 403
    assert names_without_ports(at.issued)[-2:] == ["mm.example.org", "localhost"]


def test_each_start_has_a_token_of_its_own_and_shows_it_in_no_repr():
    one, other = issue({}), issue({})
    assert len({one.token, other.token, one.session, other.session}) == 4
    assert len(one.token) >= 43 and one.address(PORT) == f"{ORIGIN}/?token={one.token}"
    assert one.token not in repr(one) and one.session not in repr(one)


@pytest.mark.parametrize(
    "token", ["short", "x" * 31, "x" * 40 + "&", "ä" * 40, "x" * 20 + " " * 20]
)
def test_a_token_that_is_short_or_no_word_of_an_address_is_refused(token):
    with pytest.raises(UsageError, match="at least 32 characters") as refused:
        issue({"MMDIAG_DASHBOARD_TOKEN": token})
    assert token not in str(refused.value) or token == "short"


def test_a_token_that_was_set_is_taken_out_of_the_environment_and_not_printed():
    environment = {"MMDIAG_DASHBOARD_TOKEN": TOKEN}
    assert issue(environment).address(PORT) == f"{ORIGIN}/?token=$MMDIAG_DASHBOARD_TOKEN"
    assert environment == {}
