"""Data contracts: one YAML for each table that crosses a boundary, held by Great Expectations, without keeping a value.

The only file that imports great_expectations, and only when a table is held: its import takes seconds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from mmdiag.application_root import application_root
from mmdiag.errors import UnknownNameError, UsageError

SEVERITIES = ("block", "quarantine", "warn")
TYPES = ("text", "number", "integer", "boolean", "date", "datetime")


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """What a contract says of a column."""

    type: str
    unit: str | None = None
    key: bool = False
    optional: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One expectation of Great Expectations, with its severity and its reason."""

    expect: str
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    severity: str
    why: str

    @property
    def column(self) -> str:
        """The column it is about; empty for a rule on the whole table."""
        return str(self.kwargs.get("column", ""))


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """A data contract."""

    table: str
    version: int
    columns: Mapping[str, Column]
    other_columns: str = "refuse"
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleResult:
    """How one rule fared on one table.

    Args:
        failed_rows: Index labels of the rows that break it; empty for a rule on the whole table.
        checked: Rows that were judged.
    """

    contract: str
    rule: str
    column: str
    severity: str
    why: str
    passed: bool
    failed_rows: tuple[Any, ...]
    checked: int


def read_contract(path: Path) -> Contract:
    """Read and check a contract file.

    Raises:
        UsageError: It is not YAML, or says something that is not known; an expectation is unknown or its arguments are wrong.
    """
    try:
        raw = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        columns = {name: Column(**facts) for name, facts in raw.get("columns", {}).items()}
        rules = tuple(Rule(**rule) for rule in raw.get("rules", ()))
        contract = Contract(
            table=raw["table"], version=int(raw["version"]), columns=columns, other_columns=raw.get("other_columns", "refuse"), rules=rules
        )
    except (yaml.YAMLError, OSError, TypeError, KeyError, AttributeError, ValueError) as error:
        raise UsageError(
            f"A contract holds table, version, columns and rules (expect, kwargs, severity, why), {Path(path).name} does not ({type(error).__name__}): "
            "compare it with those in data_contracts/."
        ) from None
    for column in contract.columns.values():
        if column.type not in TYPES:
            raise UnknownNameError("The type of a column", column.type, TYPES, f" in {Path(path).name}")
    for rule in contract.rules:
        if rule.severity not in SEVERITIES:
            raise UnknownNameError("A severity", rule.severity, SEVERITIES, f" in {Path(path).name}")
        if not rule.why:
            raise UsageError(f"Every rule says why, {rule.expect} in {Path(path).name} does not: add why.")
    return contract


@lru_cache(maxsize=16)
def packaged_contract(name: str) -> Contract:
    """One of the contracts that come with mmdiag: cases, images, notes, tables, predictions."""
    return read_contract(application_root() / "data_contracts" / f"{name}.yaml")


def hold(table: pd.DataFrame, contract: Contract) -> list[RuleResult]:
    """Hold a table against a contract, in one run of Great Expectations.

    Raises:
        UsageError: The contract names an expectation or an argument that does not exist.
    """
    rules = [*_rules_of_columns(table, contract), *contract.rules]
    if table.empty:
        return [_result(contract, rule, table, passed=True, failed=()) for rule in rules]
    found = _validate(table, contract.table, rules)
    return [_result(contract, rule, table, *found[number]) for number, rule in enumerate(rules)]


def _rules_of_columns(table: pd.DataFrame, contract: Contract) -> list[Rule]:
    """What `columns` and `other_columns` say, as rules: columns are there, keys are unique, nothing else is there."""
    rules = [
        Rule(expect="expect_column_to_exist", kwargs={"column": name}, severity="block", why="The contract names this column.")
        for name, column in contract.columns.items() if not column.optional
    ]  # fmt: skip
    for name, column in contract.columns.items():
        if column.key and name in table:
            rules.append(
                Rule(expect="expect_column_values_to_not_be_null", kwargs={"column": name}, severity="block", why="A key is never empty.")
            )
    if contract.other_columns == "refuse":
        rules.append(
            Rule(
                expect="expect_table_columns_to_match_set",
                kwargs={
                    "column_set": [name for name in contract.columns if name in table or not contract.columns[name].optional],
                    "exact_match": True,
                },
                severity="block",
                why="A column that the contract does not know would pass unjudged.",
            )
        )
    return rules


def _result(contract: Contract, rule: Rule, table: pd.DataFrame, passed: bool, failed: tuple[Any, ...]) -> RuleResult:
    arguments = ", ".join(f"{key}={value}" for key, value in rule.kwargs.items() if key not in ("column", "column_set", "exact_match"))
    text = f"{rule.expect.removeprefix('expect_').replace('_', ' ')}{f' ({arguments})' if arguments else ''}"
    return RuleResult(
        contract=contract.table,
        rule=text,
        column=rule.column,
        severity=rule.severity,
        why=rule.why,
        passed=passed,
        failed_rows=failed,
        checked=len(table),
    )


def _validate(table: pd.DataFrame, name: str, rules: list[Rule]) -> dict[int, tuple[bool, tuple[Any, ...]]]:
    import logging
    import os
    import warnings

    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import great_expectations as gx
        from great_expectations.exceptions.exceptions import ExpectationNotFoundError
        from great_expectations.expectations.registry import get_expectation_impl
        from pydantic.v1 import ValidationError

        for logger in ("great_expectations", "great_expectations.data_context.types.base"):  # the latter sets itself to INFO
            logging.getLogger(logger).setLevel(logging.ERROR)
        context = gx.get_context(mode="ephemeral")
        context.enable_analytics(False)
        context.variables.progress_bars = {"globally": False, "metric_calculations": False}  # type: ignore[assignment]
        suite = gx.ExpectationSuite(name=name)
        for number, rule in enumerate(rules):
            try:
                suite.add_expectation(get_expectation_impl(rule.expect)(**rule.kwargs, meta={"rule": number}))
            except (ExpectationNotFoundError, ValidationError, TypeError) as error:
                raise UsageError(
                    f"A rule is an expectation of Great Expectations with its own arguments, {rule.expect} in the contract {name} is not "
                    f"({type(error).__name__}): correct its name or kwargs."
                ) from None
        suite = context.suites.add(suite)
        asset = context.data_sources.add_pandas("tables").add_dataframe_asset(name)
        batch = asset.add_batch_definition_whole_dataframe("whole").get_batch({"dataframe": table})
        outcome = batch.validate(suite, result_format={"result_format": "COMPLETE", "exclude_unexpected_values": True})
    found: dict[int, tuple[bool, tuple[Any, ...]]] = {}
    for result in outcome.results:  # in an order of their own: the rule's number tells which is which
        assert result.expectation_config is not None
        found[result.expectation_config.meta["rule"]] = (bool(result.success), tuple(result.result.get("unexpected_index_list") or ()))
    return found
