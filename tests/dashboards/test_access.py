"""Who gets into the dashboard: the token of the printed address, then a cookie; nobody else, from
no other page and by no other name.
"""

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from pages import CHROMIUM, ENDED, TOKEN, Stay, admitted, browsing
from repository import ROOT
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from dashboards.access import ENTRANCE, Gate, issue, names_without_ports
from mmdiag.errors import UsageError

PORT = 8601
HOST = f"127.0.0.1:{PORT}"
ORIGIN = f"http://{HOST}"
PATHS = (
    "/case",
    "/cohort?case=C-0001",
    "/_stcore/host-config",
    "/_stcore/health/x",
    "/_stcore/stream",
    "/_stcore/metrics",
    "/media/1234.png",
    "/static/index.js",
    "//case",
)


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


@pytest.mark.parametrize("address", PATHS)
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
    for address in PATHS:
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


def fetch(address: str, **headers: str):
    """Status, headers and body, of an error and of a redirect, too."""
    opener = urllib.request.build_opener(Stay)
    try:
        answer = opener.open(urllib.request.Request(address, headers=headers), timeout=120)
    except urllib.error.HTTPError as error:
        answer = error
    return answer.status, answer.headers, answer.read()


def test_the_command_prints_an_address_whose_token_is_in_no_process_list_and_once_in_the_log(
    tmp_path,
):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path / "log"
    arguments = ["dashboard", "--port", str(port), "--workspace", str(tmp_path / "w")]
    environment = {k: v for k, v in os.environ.items() if k != "MMDIAG_DASHBOARD_TOKEN"}
    with log.open("wb") as written:
        process = subprocess.Popen(
            [sys.executable, "-m", "mmdiag", *arguments],
            stdout=written,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            env=environment,
        )
    try:
        address, deadline = f"http://127.0.0.1:{port}", time.monotonic() + 300
        while process.poll() is None and time.monotonic() < deadline:
            try:
                assert fetch(f"{address}/_stcore/health")[0] == 200
                break
            except OSError:
                time.sleep(0.1)
        printed = re.findall(rf"{address}/\?token=(\S+)", log.read_text())
        assert len(printed) == 1, log.read_text()
        for path in (f"case?token={printed[0]}x", f"//x?token={printed[0]}", "case", "%00%ff"):
            fetch(f"{address}/{path}")
        status, headers, _ = fetch(f"{address}/case?case=X&token={printed[0]}")
        assert (status, headers["location"]) == (303, "/case?case=X")
        cookie = headers["set-cookie"].split(";")[0]
        with pytest.raises(InvalidStatus, match="403"):
            connect(f"{address.replace('http', 'ws')}/_stcore/stream?token={printed[0]}")
        assert fetch(f"{address}/case?case=X", Cookie=cookie)[0] == 200
        running = Path(f"/proc/{process.pid}/cmdline")
        assert not running.exists() or printed[0].encode() not in running.read_bytes()
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(120)
    assert log.read_text().count(printed[0]) == 1 and cookie.split("=")[1] not in log.read_text()


def test_the_command_refuses_a_short_token_in_one_sentence():
    done = subprocess.run(
        [sys.executable, str(ROOT / "dashboards" / "app.py")],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "MMDIAG_DASHBOARD_TOKEN": "four"},
    )
    assert done.returncode == 2 and "four" not in done.stderr, done.stderr
    assert "it has 4 characters" in done.stderr and "Traceback" not in done.stderr


def listening(port: int) -> list[str]:
    """Where something waits on a port, as the kernel writes it."""
    tables = [Path(f"/proc/net/{name}").read_text() for name in ("tcp", "tcp6")]
    rows = [line.split() for table in tables for line in table.splitlines()[1:]]
    return [row[1] for row in rows if row[3] == "0A" and row[1].endswith(f":{port:04X}")]


def test_a_served_dashboard_gives_data_to_nobody_without_the_cookie(server, tmp_path):
    for path in PATHS:
        status, headers, body = fetch(f"{server}{path}")
        assert status == 403 and body == ENTRANCE.encode(), path
        assert headers["content-security-policy"] and headers["cache-control"] == "no-store"
    port = int(server.rsplit(":", 1)[1])
    assert listening(port) == [f"0100007F:{port:04X}"], "on loopback alone"
    assert fetch(server)[0] == 200 and fetch(f"{server}/_stcore/health")[0] == 200
    shown = {"Cookie": admitted(server)}
    status, headers, body = fetch(f"{server}/case", **shown)
    assert status == 200 and b"<script" in body and headers["cache-control"] == "no-store"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert fetch(f"{server}/case", **shown, Host="evil.test")[0] == 403
    log = (tmp_path / "log").read_text()
    assert f"{server}/?token=$MMDIAG_DASHBOARD_TOKEN" in log and TOKEN not in log


def test_a_served_websocket_opens_for_its_own_page_only(server):
    port = int(server.rsplit(":", 1)[1])
    cookie = {"Cookie": admitted(server)}

    def status(host: str = f"127.0.0.1:{port}", origin: str | None = server, **headers: str) -> int:
        link = socket.create_connection(("127.0.0.1", port))
        uri = f"ws://{host}/_stcore/stream"
        try:
            connect(uri, sock=link, origin=origin, additional_headers=headers).close()
        except InvalidStatus as refused:
            return refused.response.status_code
        return 101

    assert status(**cookie) == 101
    assert status(f"localhost:{port}", f"http://localhost:{port}", **cookie) == 101
    assert status() == status(origin=None, **cookie) == 403
    assert status(origin="http://evil.test", **cookie) == 403
    assert status(origin="http://127.0.0.1:1", **cookie) == 403
    assert status(f"evil.test:{port}", f"http://evil.test:{port}", **cookie) == 403


@pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium on this machine: apt-get install chromium"
)
def test_a_browser_that_is_let_in_stays_on_its_case_and_its_pictures_are_for_it_alone(
    server, example
):
    case = example.cases.loc[example.cases["has_flair"], "case_id"].iloc[-1]
    media = {}
    with browsing(server) as tab:
        tab.on("response", lambda answer: media.setdefault(answer.url, answer.headers))
        tab.context.clear_cookies()
        tab.goto(f"{server}/case?case={case}")
        tab.get_by_text("opens by the address that was printed").wait_for()
        tab.goto(f"{server}/case?case={case}&token={TOKEN}")
        tab.get_by_text(f"case {case}").first.wait_for()
        tab.wait_for_function(ENDED)
        tab.locator("img").first.wait_for()
        assert TOKEN not in tab.url and f"case={case}" in tab.url
        pictures = [url for url in media if url.startswith(f"{server}/media/")]
        assert pictures, sorted(media)
        for url in pictures:
            assert media[url]["cache-control"] == "no-store" and fetch(url)[0] == 403
            assert fetch(url, Cookie=admitted(server))[0] == 200, "and it is there"


@pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium on this machine: apt-get install chromium"
)
def test_a_link_on_another_page_leads_in_by_one_more_click_of_who_was_let_in(server, example):
    case = example.cases["case_id"].iloc[0]
    link = f'<a href="{server}/case?case={case}">the case</a>'
    with browsing(server) as tab:
        tab.route("http://elsewhere.test/", lambda route: route.fulfill(body=link))
        for cookies in ("kept", "none"):
            if cookies == "none":
                tab.context.clear_cookies()
            tab.goto("http://elsewhere.test/")
            tab.get_by_text("the case").click()
            tab.get_by_text("opens by the address that was printed").wait_for()
            tab.get_by_text("open this page again").click()
            shown = f"case {case}" if cookies == "kept" else "opens by the address"
            tab.get_by_text(shown).first.wait_for()
