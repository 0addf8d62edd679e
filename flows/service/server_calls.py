"""Calls of the Prefect server's API by plain HTTP: what looks after it imports no Prefect, which
takes seconds and 150 MB.
"""

import base64
import http.client
import json
import os
import urllib.error
import urllib.request
from typing import Any

ANSWER_SECONDS = 20


class NoAnswer(Exception):
    """The server did not answer, or not what was asked. Holds no text of it."""


def call(path: str, document: Any = None, *, method: str = "") -> Any:
    """Ask the server that PREFECT_API_URL names; its password is PREFECT_API_AUTH_STRING.

    Args:
        path: Below /api, such as `/flow_runs/filter`.
        document: Sent as JSON; None = a GET.

    Raises:
        NoAnswer: Always where there is no answer to read.
    """
    url = f"{os.environ.get('PREFECT_API_URL', '').rstrip('/')}{path}"
    headers = {"Content-Type": "application/json"}
    if secret := os.environ.get("PREFECT_API_AUTH_STRING"):
        headers["Authorization"] = f"Basic {base64.b64encode(secret.encode()).decode()}"
    body = None if document is None else json.dumps(document).encode()
    try:
        request = urllib.request.Request(url, body, headers, method=method or None)
        with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:
            text = answer.read()
        return json.loads(text) if text else None
    except urllib.error.HTTPError as error:
        raise NoAnswer(f"status {error.code}") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise NoAnswer(type(error).__name__) from None


def answers(url: str) -> bool:
    """Whether a GET of an address is answered by 200."""
    try:
        with urllib.request.urlopen(url, timeout=ANSWER_SECONDS) as answer:
            return int(answer.status) == 200
    except (OSError, http.client.HTTPException, ValueError):
        return False
