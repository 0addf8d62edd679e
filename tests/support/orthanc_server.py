"""An Orthanc of its own for a test: on loopback ports that are free, in a temporary folder, with
passwords and known AE titles only.
"""

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
USER, PASSWORD = "mm", "correct-horse"
TITLE = "ORTHANC"


def missing() -> str | None:
    """Why these tests cannot run here."""
    lacking = [
        name
        for name in ("Orthanc", "storescu", "movescu")
        if shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") is None
    ]
    if not PLUGIN.is_file():
        lacking.append("the DICOMweb plugin")
    return f"needs {', '.join(lacking)}: `make test-services` installs them" if lacking else None


@dataclass(frozen=True)
class Orthanc:
    """A running archive.

    Args:
        http, dicom: Its ports.
        receiver: The port to which it sends what is moved to `MMDIAG`.
    """

    http: int
    dicom: int
    receiver: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http}/dicom-web"

    def ask(self, path: str) -> Any:
        """An answer of its own REST API."""
        keeper = urllib.request.HTTPPasswordMgrWithDefaultRealm()
        keeper.add_password(None, f"http://127.0.0.1:{self.http}/", USER, PASSWORD)
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPBasicAuthHandler(keeper)
        )
        with opener.open(f"http://127.0.0.1:{self.http}/{path}", timeout=120) as answer:
            return json.loads(answer.read())

    def count(self) -> int:
        """Instances that it holds."""
        return int(self.ask("statistics")["CountInstances"])


@contextmanager
def orthanc(folder: Path) -> Iterator[Orthanc]:
    """Start an archive, wait until it answers, stop it at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    server = Orthanc(*free_ports(3))
    settings = {
        "Name": "test",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "index"),
        "Plugins": [str(PLUGIN)],
        "HttpPort": server.http,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": True,
        "RegisteredUsers": {USER: PASSWORD},
        "DicomAet": TITLE,
        "DicomPort": server.dicom,
        "DicomCheckCalledAet": True,
        "DicomAlwaysAllowStore": False,
        "DicomAlwaysAllowFind": False,
        "DicomModalities": {"sender": ["MMDIAG", "127.0.0.1", server.receiver]},
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/", "EnableWado": False},
    }
    (folder / "orthanc.json").write_text(json.dumps(settings))
    program = shutil.which("Orthanc", path=f"{os.environ['PATH']}:/usr/sbin")
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            [str(program), str(folder / "orthanc.json")], stdout=log, stderr=log
        )
    try:
        _wait(server, process, folder)
        yield server
    finally:
        process.terminate()
        try:
            process.wait(120)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_ports(count: int) -> list[int]:
    """Ports of this computer that nothing listens on."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]
    finally:
        for one in sockets:
            one.close()


def _wait(server: Orthanc, process: "subprocess.Popen[bytes]", folder: Path) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"Orthanc ended: {(folder / 'log.txt').read_text()[-2000:]}")
        try:
            server.ask("system")
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
        else:
            return
    raise RuntimeError("Orthanc did not answer within 120 s")
