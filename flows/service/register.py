"""Bring a server to what is to be up: the work pool, the deployments of prefect.yaml with their
schedules, the automations. A process of its own, because it imports Prefect.

python -m flows.service.register
"""

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.exceptions import ObjectAlreadyExists

from flows.service.automations import Times, register
from mmdiag.application_root import application_root
from mmdiag.failures import StepFailed
from mmdiag.workspace import write_text

POOL = "local"
LOOK = "mmdiag-score/scheduled"


def declared(root: Path, every: int) -> dict[str, Any]:
    """What prefect.yaml declares, with so many minutes between two looks for new cases."""
    document: dict[str, Any] = yaml.safe_load((root / "prefect.yaml").read_text(encoding="utf-8"))
    for deployment in document["deployments"]:
        for schedule in deployment.get("schedules", ()):
            if "interval" in schedule:
                schedule["interval"] = 60 * every
    return document


def deploy(root: Path, document: dict[str, Any]) -> list[str]:
    """Deploy all of a document like prefect.yaml; gives `flow/deployment` of each.

    Args:
        root: The folder that entrypoints are below.

    Raises:
        StepFailed: Prefect left one out, which it does without an exit code of its own.
    """
    with get_client(sync_client=True) as client, suppress(ObjectAlreadyExists):
        client.create_work_pool(WorkPoolCreate(name=POOL, type="process"))
    file = Path(os.environ["PREFECT_HOME"]) / "prefect.yaml"
    write_text(file, yaml.safe_dump(document, sort_keys=False))
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"]
    said = subprocess.run(
        [*command, "--prefect-file", str(file)],
        cwd=root,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    sys.stderr.write(said.stdout + said.stderr)
    with get_client(sync_client=True) as client:
        there = client.read_deployments()
        names = {flow.id: flow.name for flow in client.read_flows()}
    wanted = [f"{one['entrypoint']}/{one['name']}" for one in document["deployments"]]
    found = {f"{one.entrypoint}/{one.name}" for one in there}
    if missing := sorted(set(wanted) - found):
        raise StepFailed(
            f"Each of the {len(wanted)} deployments of prefect.yaml must be on the server, missing "
            f"are {', '.join(missing)}: the log of the registration says why."
        )
    return sorted(
        f"{names[one.flow_id]}/{one.name}"
        for one in there
        if f"{one.entrypoint}/{one.name}" in wanted
    )


def look_now() -> None:
    """Let the scheduled deployment run at once, not only when its interval is over."""
    with get_client(sync_client=True) as client:
        deployment = client.read_deployment_by_name(LOOK)
        client.create_flow_run_from_deployment(deployment.id)


def times() -> Times:
    """The times of the automations; the environment may shorten them, as tests do."""
    given = {
        name: int(os.environ[f"MMDIAG_{name.upper()}"])
        for name in Times.__dataclass_fields__
        if f"MMDIAG_{name.upper()}" in os.environ
    }
    return Times(**given)


def main() -> None:
    """Register everything, say what, a line each, and look for new cases at once."""
    root = application_root()
    for name in deploy(root, declared(root, int(os.environ["MMDIAG_EVERY"]))):
        sys.stdout.write(f"deployment {name}\n")
    for name in register(times()):
        sys.stdout.write(f"automation {name}\n")
    look_now()


if __name__ == "__main__":
    main()
