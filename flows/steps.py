"""A step: one mmdiag function as a Prefect task that stores nothing, retries what may pass, and
fails without a patient's value.
"""

import functools
import os
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

from prefect import Task, task
from prefect.cache_policies import NO_CACHE
from prefect.futures import PrefectFuture
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from flows.settings import RUN_VARIABLE, hold_run, somebody_listens, workspace_logs
from mmdiag.description import read_description
from mmdiag.errors import MmdiagError
from mmdiag.failures import StepFailed, redact
from mmdiag.record.notify import FAILED, notify

hold_run()  # every flow imports this file, before Prefect calls its run Running
P = ParamSpec("P")
R = TypeVar("R")


def step(function: Callable[P, R]) -> Task[P, R]:
    """Make a task of a function.

    Every step may be run twice: what it has finished it finds. So no result is cached or stored by
    Prefect, and a step whose cause may pass
    (a connection, a network drive) is tried three times.
    """
    make: Callable[[Callable[P, R]], Task[P, R]] = task(
        name=function.__name__,
        cache_policy=NO_CACHE,
        persist_result=False,
        retries=2,
        retry_delay_seconds=[2, 10],
        retry_condition_fn=_worth_a_retry,
    )
    return make(bounded(function))


def threads(number: int) -> TaskRunner[PrefectFuture[Any]]:
    """Run the tasks of a flow in so many threads."""
    # Prefect's flow asks for a runner of any future, and its own runners are of one kind of future
    return cast("TaskRunner[PrefectFuture[Any]]", ThreadPoolTaskRunner[Any](max_workers=number))


class FlowFailed(StepFailed):
    """A failure as Prefect stores it: its kind and exit code. What is to be read of it, rule, fact
    and cure, is `sentence`: a command shows it, a worker's goes to the logs of the workspace.

    Args:
        kind: Name of the failure's class.
        reference: The file in the logs that holds the sentence; empty = none.
    """

    def __init__(self, failure: StepFailed, kind: str, reference: str = "") -> None:
        where = f": {reference} in the logs of the workspace" if reference else ""
        super().__init__(
            f"{kind}, exit code {failure.exit_code}{where}",
            exit_code=failure.exit_code,
            worth_a_retry=failure.worth_a_retry,
        )
        self.sentence = str(failure)


def bounded(function: Callable[P, R]) -> Callable[P, R]:
    """Let a function fail only with what may be stored: Prefect keeps the text of exceptions in its
    database.
    """

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except Exception as error:  # the flow boundary: nothing unforeseen may carry a value across
            if os.environ.get("MMDIAG_DEBUG", "") not in ("", "0"):
                raise
            if isinstance(error, FlowFailed):
                raise
            failure = redact(error, workspace_logs())
            kept = FlowFailed(failure, type(error).__name__, _keep(str(failure)))
        raise kept from None

    return call


def told_of(function: Callable[P, R]) -> Callable[P, R]:
    """Tell somebody of a run that a worker started and that fails: nobody looks at it at night. Its
    first two arguments are a cohort and a workspace.
    """

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except StepFailed as failure:
            if os.environ.get(RUN_VARIABLE):
                counts: dict[str, int | float | str] = {"exit_code": failure.exit_code}
                counts["flow"] = function.__name__
                notify(FAILED, _name(kwargs.get("cohort", args[0] if args else None)), counts)
            raise

    return call


def _name(cohort: object) -> str:
    """The name of a cohort; of one whose description is what is wrong that of its folder."""
    file = Path(str(cohort))
    try:
        return read_description(file).name
    except MmdiagError:
        return file.resolve().parent.name


def _keep(sentence: str) -> str:
    """Keep what is to be read of a failure where nobody listens who shows it; gives the file."""
    logs = workspace_logs()
    if somebody_listens() or not logs.parent.is_dir():
        return ""
    name = f"failure-{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}.txt"
    try:
        logs.mkdir(exist_ok=True)
        (logs / name).write_text(f"{sentence}\n", encoding="utf-8")
    except OSError:  # a full disk: the kind and the code are all that is left
        return ""
    return name


def _worth_a_retry(_task: Any, _run: Any, state: Any) -> bool:
    failure = state.result(raise_on_failure=False)
    return isinstance(failure, StepFailed) and failure.worth_a_retry
