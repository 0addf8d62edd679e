"""Flows: what Prefect stores and repeats, and what its deployments name."""

import importlib
import inspect
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from repository import ROOT

from mmdiag.failures import StepFailed

PLANTED = "JANE^PLANTED"


def everything_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MMDIAG_WORKSPACE", str(tmp_path))
    return tmp_path


def run_in_flow(work: Any) -> Any:
    """Call a step inside a flow, without the waits between its attempts."""
    from prefect import flow

    @flow(name="test", persist_result=False)
    def alone() -> Any:
        return work.with_options(retry_delay_seconds=0)()

    return alone()


@pytest.mark.usefixtures("prefect_server")
def test_a_step_fails_with_its_type_and_place_and_never_with_a_value(workspace: Path) -> None:
    from prefect.settings import get_current_settings

    from flows.steps import FlowFailed, step

    @step
    def read() -> None:
        raise ValueError(PLANTED)

    with pytest.raises(FlowFailed, match=r"^ValueError, exit code 1: failure-") as raised:
        run_in_flow(read)
    assert raised.value.__cause__ is None and "ValueError at" in raised.value.sentence
    assert PLANTED.encode() not in everything_in(workspace)
    assert PLANTED.encode() not in everything_in(get_current_settings().home)


def test_somebody_is_told_of_a_run_of_a_worker_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And of none that a command shows; nothing of the failure's text is told."""
    from flows.steps import told_of

    @told_of
    def score(cohort: Path, workspace: Path) -> None:
        raise StepFailed(f"{cohort} {workspace} {PLANTED}", exit_code=2)

    file, cohort = tmp_path / "told.json", tmp_path / "lgg" / "cohort.toml"
    monkeypatch.setenv("MMDIAG_NOTIFY", f"tee '{file}'")
    with pytest.raises(StepFailed):
        score(cohort, tmp_path)
    assert not file.exists()
    monkeypatch.setenv("PREFECT__FLOW_RUN_ID", "r")
    with pytest.raises(StepFailed):
        score(cohort=cohort, workspace=tmp_path)
    counts = {"flow": "score", "exit_code": 2}
    assert json.loads(file.read_text()) == {"kind": "failed", "cohort": "lgg", "counts": counts}


@pytest.mark.parametrize("name", ["score", "refit", "ingest", "full", "train", "search"])
def test_of_every_flow_that_fails_somebody_is_told(name: str) -> None:
    from flows.steps import told_of

    flow = getattr(importlib.import_module(f"flows.{name}"), name)
    assert flow.fn.__code__ is told_of(lambda: None).__code__


@pytest.mark.usefixtures("prefect_server", "workspace")
def test_a_step_is_tried_again_when_a_connection_drops() -> None:
    from flows.steps import step

    attempts = []

    @step
    def fetch() -> int:
        attempts.append(1)
        if len(attempts) < 3:
            raise ConnectionResetError(104, "reset by peer")
        return len(attempts)

    assert run_in_flow(fetch) == 3


@pytest.mark.usefixtures("prefect_server")
def test_wrong_use_and_bugs_are_not_tried_again(workspace: Path) -> None:
    from flows.steps import FlowFailed, step
    from mmdiag.errors import UsageError

    attempts = []

    @step
    def start() -> None:
        attempts.append(1)
        raise UsageError("Rule, fact, cure.")

    with pytest.raises(FlowFailed, match=r"^UsageError, exit code 2: failure-.* in the") as raised:
        run_in_flow(start)
    assert len(attempts) == 1
    assert raised.value.exit_code == 2 and raised.value.sentence == "Rule, fact, cure."
    said = [file.read_text() for file in (workspace / "logs").glob("failure-*.txt")]
    assert said == ["Rule, fact, cure.\n"], "kept where whoever runs the worker finds it"


def test_settings_keep_prefect_offline_silent_and_inside_the_workspace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    from flows.settings import prepare

    for name in [name for name in os.environ if name.startswith("PREFECT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:4200/api")
    monkeypatch.setenv("MMDIAG_WORKSPACE", "before")
    with monkeypatch.context() as context:
        context.setattr(os, "environ", dict(os.environ))
        prepare(tmp_path)
        found = dict(os.environ)
    assert found["PREFECT_HOME"] == str(tmp_path / "prefect")
    assert found["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    assert found["PREFECT_LOGGING_TO_API_ENABLED"] == "false"
    assert found["PREFECT_RESULTS_DEFAULT_SERIALIZER"] == "json"
    assert found["PREFECT_API_URL"] == "http://127.0.0.1:4200/api", (
        "a server that the user named is used"
    )


def test_progress_of_a_flow_reaches_who_listens_and_nobody_later() -> None:
    from flows.settings import report, reporting

    heard: list[tuple[Any, ...]] = []
    with reporting(lambda *said: heard.append(said)):
        report("train", 1, 6, "fused")
    report("train", 2, 6)
    assert heard == [("train", 1, 6, "fused")]


def declared() -> list[dict[str, Any]]:
    deployments: list[dict[str, Any]] = yaml.safe_load((ROOT / "prefect.yaml").read_text())[
        "deployments"
    ]
    return deployments


@pytest.mark.parametrize("deployment", declared(), ids=lambda deployment: deployment["entrypoint"])
def test_every_deployment_names_a_flow_and_its_parameters(deployment: dict[str, Any]) -> None:
    import importlib

    path, name = deployment["entrypoint"].split(":")
    flow = getattr(importlib.import_module(path.removesuffix(".py").replace("/", ".")), name)
    inspect.signature(flow.fn).bind(**deployment["parameters"])
    assert flow.name == f"mmdiag-{name}"


def test_new_cases_are_scored_every_quarter_of_an_hour_and_a_challenger_trained_every_week() -> (
    None
):
    schedules = {
        deployment["entrypoint"]: [
            s.get("interval", s.get("cron")) for s in deployment["schedules"]
        ]
        for deployment in declared()
        if "schedules" in deployment
    }
    assert schedules == {"flows/score.py:score": [900], "flows/refit.py:refit": ["0 4 * * 0"]}
    assert all(deployment["concurrency_limit"]["limit"] == 1 for deployment in declared())


@pytest.mark.usefixtures("prefect_server")
@pytest.mark.parametrize("name", ["full", "train", "search"])
def test_settings_reach_the_configuration_of_a_run(
    workspace: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib

    from mmdiag.errors import UsageError
    from mmdiag.failures import StepFailed
    from mmdiag.tuning import trials as search_trials

    asked = []

    def stop(_description: Any, _workspace: Any, config: Any, *_: Any, **__: Any) -> None:
        asked.append((config.model.width, config.fusion))
        raise UsageError("Far enough, found this: go on.")

    module = importlib.import_module(f"flows.{name}")
    monkeypatch.setattr("flows.train.plan_run", stop)
    monkeypatch.setattr(search_trials, "start", stop)
    for place in ("flows.full", "flows.train", "flows.search"):
        for function in ("ingest_shards", "read_description"):
            monkeypatch.setattr(
                importlib.import_module(place), function, lambda *_: {}, raising=False
            )
    with pytest.raises(StepFailed, match=r"^UsageError, exit code 2"):
        getattr(module, name)(
            cohort=workspace / "cohort.toml",
            workspace=workspace,
            fusion="gated",
            settings={"model.width": 64},
        )
    assert asked == [(64, "gated")]
