"""A step: one mmdiag function as a Prefect task that stores nothing, retries what may pass, and
fails without a patient's value.
"""

import functools
import os
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

from prefect import Task, task
from prefect.cache_policies import NO_CACHE
from prefect.futures import PrefectFuture
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from flows.settings import workspace_logs
from mmdiag.failures import StepFailed, redact

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
            failure = redact(error, workspace_logs())
        raise failure from None

    return call


def _worth_a_retry(_task: Any, _run: Any, state: Any) -> bool:
    failure = state.result(raise_on_failure=False)
    return isinstance(failure, StepFailed) and failure.worth_a_retry
