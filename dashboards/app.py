"""The dashboard as a server: loopback only, for whoever has the printed address, with security
headers, and errors that show no values.

python dashboards/app.py --workspace DIR --port 8601
"""

import argparse
import base64
import hashlib
import importlib
import logging
import os
import re
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent))

import streamlit as st  # noqa: E402
from starlette.middleware import Middleware  # noqa: E402

from dashboards.access import Gate, Pass, issue, names_without_ports, require_login  # noqa: E402
from dashboards.viewer import slices  # noqa: E402
from mmdiag.errors import UsageError  # noqa: E402
from mmdiag.workspace import keep_from_others  # noqa: E402

# neither a variable of the environment nor a file in the user's home may change them
FIXED = {
    "server.address": "127.0.0.1",
    "logger.enableRich": False,
    "client.showErrorDetails": "none",
    "client.disableDataExport": True,
}


def content_security_policy() -> str:
    """Only what this server itself sends may run or load; the one inline script of Streamlit's page
    is allowed by its hash.
    """
    page = (Path(st.__file__).parent / "static" / "index.html").read_text(encoding="utf-8")
    inline = re.findall(r"<script>(.*?)</script>", page, flags=re.DOTALL)
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
        for script in inline
    )
    return (
        f"default-src 'none'; script-src 'self' {hashes} 'wasm-unsafe-eval'; style-src 'self' "
        "'unsafe-inline'; img-src 'self' data: blob:; "
        "font-src 'self' data:; connect-src 'self'; media-src 'self' blob:; worker-src 'self' "
        "blob:; frame-src 'self'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'; manifest-src 'self'; object-src 'none'"
    )


class Headers:
    """ASGI middleware: security headers on every answer."""

    def __init__(self, app: Any) -> None:
        self.app = app
        policy = content_security_policy()
        named = {
            "content-security-policy": policy,
            "x-content-type-options": "nosniff",
            "referrer-policy": "no-referrer",
            "x-frame-options": "DENY",
            "cross-origin-resource-policy": "same-origin",  # nor may a page of another port
        }
        self.headers = [(name.encode(), value.encode()) for name, value in named.items()]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request; websockets pass as they are."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *self.headers]
            await send(message)

        await self.app(scope, receive, with_headers)


def keep_values_out_of_the_log() -> None:
    """Texts of exceptions and warnings may hold a patient's value. Whoever logs or prints one in
    this process, Streamlit, the server or a library: its kind and place are written, no text.
    """
    make = logging.getLogRecordFactory()

    def without_values(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = make(*args, **kwargs)
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            record.msg, record.args = f"uncaught {kind_and_place(error)}", ()
        elif isinstance(record.msg, BaseException):
            record.msg, record.args = kind_and_place(record.msg), ()
        elif isinstance(record.args, tuple):
            record.args = tuple(
                kind_and_place(value) if isinstance(value, BaseException) else value
                for value in record.args
            )
        record.exc_info = record.exc_text = None
        return record

    logging.setLogRecordFactory(without_values)
    sys.excepthook = lambda _, error, __: _write(f"uncaught {kind_and_place(error)}")
    threading.excepthook = lambda hook: _write(
        f"uncaught {kind_and_place(hook.exc_value)}" if hook.exc_value else "a thread ended"
    )
    sys.unraisablehook = lambda hook: _write(
        f"unraisable {kind_and_place(hook.exc_value)}" if hook.exc_value else "unraisable"
    )

    def show(_: Any, category: type[Warning], filename: str, lineno: int, *__: Any) -> None:
        _write(f"{category.__name__} at {Path(filename).name}:{lineno}")

    warnings.showwarning = show  # type: ignore[assignment]


def kind_and_place(error: BaseException) -> str:
    """`KeyError at case.py:12`."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return f"{type(error).__name__} at an unknown place"
    file = Path(trace.tb_frame.f_code.co_filename).name
    return f"{type(error).__name__} at {file}:{trace.tb_lineno}"


def _write(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def on_error(error: Exception) -> bool:
    """Show that something failed, and nothing of what."""
    st.error(
        f"This page could not be shown ({type(error).__name__}). The log names the place; the "
        "other pages are not affected."
    )
    return True


def served(issued: Pass) -> st.App:
    """The dashboard behind its gate."""
    return st.App(
        str(FOLDER / "main.py"),
        routes=[slices.route()],
        middleware=[Middleware(Headers), Middleware(Gate, issued=issued)],
        on_script_error=on_error,
    )


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description="The mmdiag dashboard, on 127.0.0.1 only.")
    parser.add_argument("--workspace", default=os.environ.get("MMDIAG_WORKSPACE", "workspace"))
    parser.add_argument("--port", type=int, default=8601)
    options = parser.parse_args()
    os.environ["MMDIAG_WORKSPACE"] = str(Path(options.workspace).resolve())
    try:
        issued = issue()
        require_login(issued, Path(os.environ["MMDIAG_WORKSPACE"]))
    except UsageError as error:
        _write(str(error))
        sys.exit(error.exit_code)
    keep_from_others()
    keep_values_out_of_the_log()
    for module in (
        "dashboards.charts.models",
        "dashboards.case_parts",
        "dashboards.in_use",
        "dashboards.review.choice",
        "dashboards.review.explaining",
        "dashboards.review.panel",
        "dashboards.viewer.series",
        "dashboards.worklist.cases",
        "mmdiag.storage.ledger",
        "mmdiag.storage.store",
        "mmdiag.evaluation.metrics",
    ):
        importlib.import_module(module)  # now, so that the first reader does not wait for it
    _write(
        f"Dashboard of {os.environ['MMDIAG_WORKSPACE']} on {issued.address(options.port)} "
        "(Ctrl-C ends it). Whoever has this address sees the cases."
    )
    hosts = {"server.port": options.port, "server.allowedHosts": names_without_ports(issued)}
    served(issued).run(config={**FIXED, **hosts})


if __name__ == "__main__":
    main()
