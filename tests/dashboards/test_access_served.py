"""The gate of a dashboard that runs: what its command prints, its websocket, and a browser."""

import os
import re
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from pages import CHROMIUM, CLOSED, ENDED, TOKEN, Stay, admitted, browsing, started
from repository import ROOT
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from dashboards.access import ENTRANCE


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
    log = tmp_path / "log"
    environment = {k: v for k, v in os.environ.items() if k != "MMDIAG_DASHBOARD_TOKEN"}
    command = ["-m", "mmdiag", "dashboard"]
    with started(command, tmp_path / "w", log, environment) as (address, process):
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
    for path in CLOSED:
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
        with tab.expect_response(re.compile("/api/slices")):
            tab.reload()
        assert TOKEN not in tab.url and f"case={case}" in tab.url
        pictures = [url for url in media if url.startswith(f"{server}/api/slices")]
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
