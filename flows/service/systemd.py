"""A systemd unit of the user that holds it all up from the start of the machine on."""

import os
import shlex
import sys
from pathlib import Path
from typing import Any

from flows.service import request as requests
from mmdiag.application_root import application_root
from mmdiag.roles import require_operator
from mmdiag.workspace import Workspace, keep_from_others, write_text

UNIT = """# Written by `mmdiag up --install`; asked again, it is written anew.
[Unit]
Description=mmdiag on {workspace}
After=network.target

[Service]
Type=exec
WorkingDirectory={workspace}
Environment={path}
Environment=PYTHONSAFEPATH=1
Environment={mark}
# MMDIAG_LEDGER, PREFECT_SERVER_DATABASE_CONNECTION_URL and the like, a line each; 600
EnvironmentFile=-{environment_file}
ExecStart={python} -m flows.service.supervisor {argument}
Restart=on-failure
RestartSec=5
TimeoutStopSec=60
KillMode=control-group
UMask=0077

[Install]
WantedBy=default.target
"""


def install(workspace: Path, cohort: Path, every: int, port: int) -> dict[str, Any]:
    """Write the unit and the request that it holds up; starts nothing.

    Returns:
        `state`, `unit`, and in `enable` the commands that enable it.
    """
    keep_from_others()
    require_operator(workspace)
    Workspace(workspace).make()
    asked = requests.ask(workspace, cohort, every, port)
    requests.write(asked)
    name = f"mmdiag-{asked.id}.service"
    write_text(workspace / name, unit(asked))
    return {
        "state": "written",
        "unit": str(workspace / name),
        "dashboard": f"{asked.dashboard}?token={asked.token}",
        "enable": [
            f"systemctl --user enable --now {shlex.quote(str(workspace / name))}",
            "loginctl enable-linger  # also while nobody is logged in",
        ],
    }


def unit(asked: requests.Request) -> str:
    """The text of the unit."""
    path = os.pathsep.join(filter(None, (str(application_root()), os.environ.get("PYTHONPATH"))))
    return UNIT.format(
        workspace=_specifiers(str(asked.workspace)),
        path=_quoted(f"PYTHONPATH={path}"),
        mark=_quoted(f"{requests.MARK}={asked.id}"),
        environment_file=_specifiers(str(asked.workspace / "up.env")),
        python=_argument(sys.executable),
        argument=_argument(str(asked.workspace)),
    )


def _specifiers(text: str) -> str:
    """`%` stands for something in every line of a unit, unless it is doubled."""
    return text.replace("%", "%%")


def _quoted(text: str) -> str:
    """One word of a line, whatever spaces and quotes are in it."""
    escaped = _specifiers(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _argument(text: str) -> str:
    """One word of a command, in which `$` stands for a variable, too."""
    return _quoted(text.replace("$", "$$"))
