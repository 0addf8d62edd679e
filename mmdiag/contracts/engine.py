"""Great Expectations behind the contracts: it is imported here and in `expectations.py` alone, and
only when a table is validated, because its import takes seconds.
"""

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pandas as pd

from mmdiag.contracts.rules import Rule
from mmdiag.errors import UsageError


@contextmanager
def quiet() -> Iterator[None]:
    """Great Expectations without analytics, and without the warnings and the log lines of its
    import.
    """
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import great_expectations  # noqa: F401

        import mmdiag.contracts.expectations  # noqa: F401 - its expectations are known by name then

        # the latter sets itself to INFO
        for logger in (
            "great_expectations",
            "great_expectations.data_context.types.base",
        ):
            logging.getLogger(logger).setLevel(logging.ERROR)
        yield


def expectation(rule: Rule, number: int, contract: str) -> Any:
    """The expectation that a rule names.

    Raises:
        UsageError: It or one of its arguments does not exist.
    """
    from great_expectations.exceptions.exceptions import ExpectationNotFoundError
    from great_expectations.expectations.registry import get_expectation_impl
    from pydantic.v1 import ValidationError

    try:
        return get_expectation_impl(rule.expect)(**rule.kwargs, meta={"rule": number})
    except (ExpectationNotFoundError, ValidationError, TypeError) as error:
        wrong = (
            sorted({str(part) for fact in error.errors() for part in fact["loc"]})
            if isinstance(error, ValidationError)
            else []
        )
        raise UsageError(
            "A rule is an expectation of Great Expectations or of mmdiag with its own "
            f"arguments, {rule.expect} in the contract {contract} is not "
            f"({', '.join(wrong) or type(error).__name__}): correct its name or kwargs."
        ) from None


def run_rules(
    table: pd.DataFrame, name: str, rules: list[Rule]
) -> dict[int, tuple[bool, tuple[Any, ...]]]:
    """Rule number -> (passed, index labels of the rows that break it)."""
    with quiet():
        import great_expectations as gx

        context = gx.get_context(mode="ephemeral")
        context.enable_analytics(False)
        context.variables.progress_bars = {"globally": False, "metric_calculations": False}  # type: ignore[assignment]
        suite = gx.ExpectationSuite(name=name)
        for number, rule in enumerate(rules):
            suite.add_expectation(expectation(rule, number, name))
        suite = context.suites.add(suite)
        asset = context.data_sources.add_pandas("tables").add_dataframe_asset(name)
        batch = asset.add_batch_definition_whole_dataframe("whole").get_batch({"dataframe": table})
        outcome = batch.validate(
            suite, result_format={"result_format": "COMPLETE", "exclude_unexpected_values": True}
        )
    found: dict[int, tuple[bool, tuple[Any, ...]]] = {}
    for (
        result
    ) in outcome.results:  # in an order of their own: the rule's number tells which is which
        assert result.expectation_config is not None
        found[result.expectation_config.meta["rule"]] = (
            bool(result.success),
            tuple(result.result.get("unexpected_index_list") or ()),
        )
    return found
