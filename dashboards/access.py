"""Who gets in: whoever has the token of the printed address, from then on by a cookie.

Everybody else is answered before Streamlit sees the request: the port is open to all users of the
machine, and every page that a browser shows may send requests to it.
"""

import hmac
import os
import re
import secrets
import time
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote, unquote_plus

from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mmdiag.errors import UsageError
from mmdiag.roles import USERS

TOKEN_VARIABLE = "MMDIAG_DASHBOARD_TOKEN"
HOST_VARIABLE = "MMDIAG_DASHBOARD_HOST"
SHORTEST_TOKEN = 32  # characters; a token made here has 43
COOKIE = "mmdiag"
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
HEALTH = "/_stcore/health"
BUNDLES = "/static/"  # the scripts and fonts of Streamlit's page, which a browser may keep
# no page needs them
HIDDEN = ("/_stcore/metrics", "/_stcore/agent", "/_stcore/script-health-check")
TURNED_AWAY = 1008  # a websocket's code for a policy that does not hold

ENTRANCE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>mmdiag</title>
<style>body{font:1rem/1.5 system-ui,sans-serif;max-width:40rem;margin:4rem auto;padding:0 1rem}
</style>
<h1>mmdiag</h1>
<p>This dashboard opens by the address that was printed when it was started, which ends in
<code>?token=</code> and a token: open that whole address once in this browser.</p>
<p>The address is gone, or the dashboard was started again? End it and run
<code>mmdiag dashboard</code> once more: it prints a new one. If somebody else runs it, ask
them.</p>
<p>If you came here by a link from another page, <a href="">open this page again</a>.</p>
<p>Research use only. Not a medical device; not for diagnosis or treatment.</p>
"""


@dataclass(frozen=True, slots=True)
class Pass:
    """What opens one start of the dashboard.

    Args:
        token: Of the address; whoever shows it is given the cookie.
        session: What cookies are sealed with: another one at each start.
        hosts: Names beside loopback by which a proxy or a tunnel reaches this server.
    """

    token: str = field(repr=False)
    session: str = field(repr=False)
    hosts: tuple[str, ...] = ()
    printed: bool = True  # whether the address may show the token: it was made here

    def cookie(self, moment: int) -> str:
        """The cookie of who showed the token at a moment (seconds since 1970), which it tells."""
        told = str(moment)
        return f"{told}.{hmac.digest(self.session.encode(), told.encode(), 'sha256').hex()}"

    def made(self, cookie: str) -> bool:
        """Whether a cookie is one of this start."""
        told = cookie.partition(".")[0]
        return told.isdecimal() and told.isascii() and _same(cookie, self.cookie(int(told)))

    def address(self, port: int) -> str:
        """What is printed, once; a token that was given is named and not repeated in a log."""
        shown = self.token if self.printed else f"${TOKEN_VARIABLE}"
        return f"http://127.0.0.1:{port}/?token={shown}"


def issue(environment: MutableMapping[str, str] = os.environ) -> Pass:
    """The pass of this start; the token of the environment is taken out of it, so that no child
    inherits it.

    Raises:
        UsageError: If `MMDIAG_DASHBOARD_TOKEN` is too short, or is no word that fits an address.
    """
    given = environment.pop(TOKEN_VARIABLE, "")
    if given and (len(given) < SHORTEST_TOKEN or quote(given, safe="") != given):
        raise UsageError(
            f"{TOKEN_VARIABLE} must have at least {SHORTEST_TOKEN} characters, each a letter, a "
            f"digit or one of - . _ ~; it has {len(given)} characters. Make one by `python -c "
            '"import secrets; print(secrets.token_urlsafe())"`, or leave it out.'
        )
    hosts = tuple(environment.get(HOST_VARIABLE, "").lower().split())
    return Pass(
        given or secrets.token_urlsafe(32), secrets.token_urlsafe(32), hosts, printed=not given
    )


def require_login(issued: Pass, workspace: Path) -> None:
    """Refuse other names than loopback without login, by which everybody would be an operator.

    Raises:
        UsageError: There is none.
    """
    if issued.hosts and not (workspace / USERS).is_file():
        raise UsageError(
            f"Without login the dashboard answers on loopback alone, {HOST_VARIABLE} names another "
            f"host and the workspace has no {USERS}: write the role of whom the dashboard runs as "
            "into it, or leave the host out."
        )


def logged_in_at(cookies: Mapping[str, str], port: int) -> datetime | None:
    """When the token was shown by whom the gate has let in; None where no gate stands before."""
    told = cookies.get(f"{COOKIE}-{port}", "").partition(".")[0]
    return datetime.fromtimestamp(int(told), UTC) if told.isdecimal() else None


class Gate:
    """ASGI middleware: lets through who has the cookie, gives the cookie for the token, turns
    everybody else away. What it lets through is kept in no cache.
    """

    def __init__(self, app: ASGIApp, issued: Pass, clock: Callable[[], float] = time.time) -> None:
        self.app = app
        self.issued = issued
        self.clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request or one websocket's handshake."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            if self._is_ours(scope, origin_needed=True) and self._has_session(scope):
                await self.app(scope, receive, send)
            else:
                await send({"type": "websocket.close", "code": TURNED_AWAY})
        elif (answer := self._answer(scope)) is not None:
            answer.headers["cache-control"] = "no-store"
            await answer(scope, receive, send)
        else:
            await self.app(scope, receive, _uncached(scope, send))

    def _answer(self, scope: Scope) -> Response | None:
        """What is said instead of the page; None for who may see it."""
        reads = scope["method"] in ("GET", "HEAD")
        if not self._is_ours(scope):
            return _turned_away()
        if reads and scope["path"] == HEALTH:
            return None
        if reads and self._has_token(scope):
            return self._admitted(scope)
        if not self._has_session(scope):
            # `/` itself answers, so that who watches over the service sees that it is up
            return _turned_away(200 if reads and scope["path"] == "/" else 403)
        if scope["path"].startswith(HIDDEN):
            return PlainTextResponse("Not found", status_code=404)
        return None

    def _is_ours(self, scope: Scope, origin_needed: bool = False) -> bool:
        """Whether the request is for a name of this server, and comes from a page of its own: a
        foreign name that leads here is DNS rebinding.
        """
        host, port = _only(scope, b"host").lower(), scope["server"][1]
        names = {f"{name}:{port}" for name in LOOPBACK} | set(self.issued.hosts)
        if host not in names | (set(LOOPBACK) if port == 80 else set()):
            return False
        if not origin_needed and not any(name == b"origin" for name, _ in scope["headers"]):
            return True
        return _only(scope, b"origin").lower() in (f"http://{host}", f"https://{host}")

    def _has_session(self, scope: Scope) -> bool:
        shown = HTTPConnection(scope).cookies.get(_cookie(scope), "")
        return self.issued.made(shown)

    def _has_token(self, scope: Scope) -> bool:
        return any(
            name == "token" and _same(value, self.issued.token) for name, value in _query(scope)
        )

    def _admitted(self, scope: Scope) -> Response:
        """The same address without the token, and the cookie that stands for it."""
        path = "/" + quote(scope["path"].lstrip("/\\"))  # two slashes would be another host
        kept = [
            part
            for part, (name, _) in zip(_parts(scope), _query(scope), strict=True)
            if name != "token"
        ]
        answer = RedirectResponse(path + ("?" + "&".join(kept) if kept else ""), status_code=303)
        answer.set_cookie(
            _cookie(scope),
            self.issued.cookie(int(self.clock())),
            httponly=True,
            samesite="strict",
            secure=scope["scheme"] == "https",
        )
        return answer


def _turned_away(status: int = 403) -> Response:
    return HTMLResponse(ENTRANCE, status_code=status)


def _cookie(scope: Scope) -> str:
    """Its name: the ports of a host share their cookies."""
    return f"{COOKIE}-{scope['server'][1]}"


def _only(scope: Scope, name: bytes) -> str:
    """The value of a header that may stand once; empty otherwise."""
    values = [value for key, value in scope["headers"] if key == name]
    return values[0].decode("latin-1") if len(values) == 1 else ""


def _parts(scope: Scope) -> list[str]:
    return [part for part in scope["query_string"].decode("latin-1").split("&") if part]


def _query(scope: Scope) -> list[tuple[str, str]]:
    """Names and values of the parts, in their order."""
    pairs = [part.partition("=") for part in _parts(scope)]
    return [(unquote_plus(name), unquote_plus(value)) for name, _, value in pairs]


def _same(shown: str, right: str) -> bool:
    """Whether two secrets are equal, in a time that does not depend on where they differ."""
    return hmac.compare_digest(shown.encode("utf-8", "replace"), right.encode())


def _uncached(scope: Scope, send: Send) -> Send:
    """`send`, with no-store on everything but the bundles that hold no data."""
    if scope["path"].startswith(BUNDLES):
        return send

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            kept = [pair for pair in message["headers"] if pair[0].lower() != b"cache-control"]
            message["headers"] = [*kept, (b"cache-control", b"no-store")]
        await send(message)

    return sending


def names_without_ports(issued: Pass) -> list[str]:
    """The names of this server, for Streamlit's own look at a websocket's host."""
    return [re.sub(r":\d+$", "", name).strip("[]") for name in (*LOOPBACK, *issued.hosts)]
