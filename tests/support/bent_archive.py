"""A DICOMweb archive for tests, whose answers can be bent: refused, cut short, or of another
image.
"""

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

STUDY, SERIES = "1.2.3", "1.2.3.4"


class Archive(BaseHTTPRequestHandler):
    """A DICOMweb archive of one series whose answers a test bends."""

    files: dict[str, bytes]
    plan: list[int]  # statuses to answer first; 0 = cut the answer short
    asked: Counter[str]

    def do_GET(self) -> None:
        what = self.path.split("?")[0]
        self.asked[what.rsplit("/", 2)[-2] if what[-1].isdigit() else what.rsplit("/", 1)[-1]] += 1
        if "offset=0" not in self.path and "offset=" in self.path:
            return self._answer(204, "application/dicom+json", b"")
        if what.endswith("/series"):
            rows = [
                {
                    "0020000E": {"vr": "UI", "Value": [SERIES]},
                    "00080060": {"vr": "CS", "Value": ["MR"]},
                }
            ]
            return self._answer(200, "application/dicom+json", json.dumps(rows).encode())
        if what.endswith("/instances"):
            rows = [
                {"00080018": {"vr": "UI", "Value": [uid]}}
                for uid in [*self.files, "../../etc/passwd"]
            ]
            return self._answer(200, "application/dicom+json", json.dumps(rows).encode())
        if what.endswith("/studies"):
            rows = [
                {"0020000D": {"vr": "UI", "Value": [uid]}, "00100020": {"vr": "LO", "Value": [of]}}
                for uid, of in ((STUDY, "P1"), ("1.9", "P2"))
            ]
            return self._answer(200, "application/dicom+json", json.dumps(rows).encode())
        status = self.plan.pop(0) if self.plan else 200
        body = (
            b"--x\r\nContent-Type: application/dicom\r\n\r\n"
            + self.files[what.rsplit("/", 1)[1]]
            + b"\r\n--x--"
        )
        if status == 0:
            return self._answer(200, 'multipart/related; boundary="x"', body[:-40])
        return self._answer(
            status, 'multipart/related; boundary="x"', body if status == 200 else b""
        )

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""


@contextmanager
def archive(
    files: dict[str, bytes], plan: list[int] | None = None
) -> Iterator[tuple[str, Counter[str]]]:
    """The URL of an archive, and what it was asked for."""
    asked = Counter[str]()
    kind = type("Bent", (Archive,), {"files": files, "plan": plan or [], "asked": asked})
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/dicom-web", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def below(folder: Path) -> list[Path]:
    """All files below a folder."""
    return sorted(path for path in folder.rglob("*") if path.is_file())
