"""Data contracts: one YAML for each table that crosses a boundary, held by Great Expectations,
without keeping a value.

Great Expectations is imported here and in `expectations.py` alone, and only when a table is held:
its import takes seconds.
"""

import logging
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from mmdiag.application_root import application_root
from mmdiag.errors import ContractError, UnknownNameError, UsageError
from mmdiag.kinds import KINDS

PACKAGED = (
    "cases",
    "labels",
    *(kind.contract for kind in KINDS.values()),
    "splits",
    "predictions",
)
SEVERITIES = ("block", "quarantine", "warn")
OTHER_COLUMNS = ("allow", "refuse")
SECTIONS = ("table", "version", "columns", "other_columns", "rules")


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """What a contract says of a column."""

    type: str
    unit: str | None = None
    key: bool = False
    optional: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One expectation, of Great Expectations or of `expectations.py`, with its severity and its
    reason.
    """

    expect: str
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    severity: str
    why: str

    @property
    def column(self) -> str:
        """The column it is about; empty for a rule on the whole table."""
        return str(self.kwargs.get("column", ""))

    @property
    def text(self) -> str:
        """What it asks, in words: it names the rule in results, in the ledger and in the report."""
        hidden = ("column", "column_set", "exact_match")
        arguments = ", ".join(
            f"{key}={value}" for key, value in self.kwargs.items() if key not in hidden
        )
        rule = self.expect.removeprefix("expect_").replace("_", " ")
        return f"{rule} ({arguments})" if arguments else rule

    @property
    def columns(self) -> set[str]:
        """Every column that it needs."""
        named = [
            self.kwargs[key] for key in ("column", "column_A", "column_B") if key in self.kwargs
        ]
        return {str(name) for name in [*named, *self.kwargs.get("column_list", ())]}


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
        failed_rows: Index labels of the rows that break it (leakage: case keys); empty for a rule
            on the whole table.
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

    @property
    def failed(self) -> int:
        """Rows that break it; 1 where the table as a whole does."""
        return 0 if self.passed else len(self.failed_rows) or 1


def read_contract(path: Path) -> Contract:
    """Read and check a contract file.

    Raises:
        UsageError: It is not YAML, or says something that is not known; an expectation is unknown
            or its arguments are wrong.
    """
    try:
        raw = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        unknown = [key for key in raw if key not in SECTIONS]
        columns = {name: Column(**facts) for name, facts in raw.get("columns", {}).items()}
        rules = tuple(Rule(**rule) for rule in raw.get("rules", ()))
        contract = Contract(
            table=raw["table"],
            version=int(raw["version"]),
            columns=columns,
            other_columns=raw.get("other_columns", "refuse"),
            rules=rules,
        )
    except (yaml.YAMLError, OSError, TypeError, KeyError, AttributeError, ValueError) as error:
        raise UsageError(
            "A contract holds table, version, columns and rules (expect, kwargs, severity, "
            f"why), {Path(path).name} does not ({type(error).__name__}): "
            "compare it with those in data_contracts/."
        ) from None
    words: list[tuple[str, str, tuple[str, ...]]] = [
        ("A key of a contract", str(key), SECTIONS) for key in unknown
    ]
    words += [("other_columns", str(contract.other_columns), OTHER_COLUMNS)]
    words += [
        ("The type of a column", str(column.type), tuple(IS_OF_TYPE))
        for column in contract.columns.values()
    ]
    words += [("A severity", str(rule.severity), SEVERITIES) for rule in contract.rules]
    for what, word, known in words:
        if word not in known:
            raise UnknownNameError(what, word, known, f" in {Path(path).name}")
    for rule in contract.rules:
        if not rule.why:
            raise UsageError(
                f"Every rule says why, {rule.expect} in {Path(path).name} does not: add why."
            )
        absent = sorted(rule.columns - set(contract.columns))
        if absent and contract.other_columns == "refuse":
            raise UnknownNameError(
                "The column of a rule", absent[0], contract.columns, f" in {Path(path).name}"
            )
    with _quiet():
        for rule in contract.rules:
            _expectation(rule, 0, Path(path).name)
    return contract


@lru_cache(maxsize=16)
def packaged_contract(name: str) -> Contract:
    """One of the contracts that come with mmdiag, by a name of `PACKAGED`."""
    return read_contract(application_root() / "data_contracts" / f"{name}.yaml")


def hold(table: pd.DataFrame, contract: Contract) -> list[RuleResult]:
    """Hold a table against a contract, in one run of Great Expectations.

    Raises:
        UsageError: The contract names an expectation or an argument that does not exist.
    """
    absent = {
        name for name, column in contract.columns.items() if column.optional and name not in table
    }
    rules = [
        *_rules_of_columns(table, contract),
        *(rule for rule in contract.rules if not rule.columns & absent),
    ]
    if table.empty:
        return [_result(contract, rule, table, passed=True, failed=()) for rule in rules]
    found = _validate(table, contract.table, rules)
    judged = [_result(contract, rule, table, *found[number]) for number, rule in enumerate(rules)]
    return judged + [
        _type_result(contract, table, name) for name in contract.columns if name in table
    ]


def refuse_blocked(results: Iterable[RuleResult], cure: str) -> None:
    """Do nothing where no rule of severity block is broken.

    Args:
        cure: What the user is to do about it.

    Raises:
        ContractError: The first rule of severity block that is broken.
    """
    for result in results:
        if result.severity == "block" and not result.passed:
            what = f"column {result.column}" if result.column else "the table"
            where = (
                f"{len(result.failed_rows)} of {result.checked} rows"
                if result.failed_rows
                else f"{result.checked} rows as a whole"
            )
            raise ContractError(
                f"The contract of {result.contract} must hold, {what} breaks '{result.rule}' in "
                f"{where}: {result.why} {cure}"
            )


def as_table(results: Iterable[RuleResult]) -> pd.DataFrame:
    """One row a rule, as the ledger records them: contract, rule, column, severity, why, checked,
    failed; results of one rule are added up.
    """
    keys = ["contract", "rule", "column", "severity", "why"]
    rows = [
        [
            result.contract,
            result.rule,
            result.column,
            result.severity,
            result.why,
            result.checked,
            result.failed,
        ]
        for result in results
    ]
    table = pd.DataFrame(rows, columns=[*keys, "checked", "failed"])
    return table.groupby(keys, sort=False, as_index=False)[["checked", "failed"]].sum()


def _rules_of_columns(table: pd.DataFrame, contract: Contract) -> list[Rule]:
    """What `columns` and `other_columns` say, as rules: columns are there, keys are unique, nothing
    else is there.
    """
    rules = [
        Rule(
            expect="expect_column_to_exist",
            kwargs={"column": name},
            severity="block",
            why="The contract names this column.",
        )
        for name, column in contract.columns.items()
        if not column.optional
    ]
    keys = [name for name, column in contract.columns.items() if column.key and name in table]
    for name in keys:
        rules.append(
            Rule(
                expect="expect_column_values_to_not_be_null",
                kwargs={"column": name},
                severity="block",
                why="A key is never empty.",
            )
        )
    if keys:
        unique = (
            ("expect_compound_columns_to_be_unique", {"column_list": keys})
            if len(keys) > 1
            else ("expect_column_values_to_be_unique", {"column": keys[0]})
        )
        rules.append(
            Rule(expect=unique[0], kwargs=unique[1], severity="block", why="A key names one row.")
        )
    if contract.other_columns == "refuse":
        rules.append(
            Rule(
                expect="expect_table_columns_to_match_set",
                kwargs={
                    "column_set": [
                        name
                        for name in contract.columns
                        if name in table or not contract.columns[name].optional
                    ],
                    "exact_match": True,
                },
                severity="block",
                why="A column that the contract does not know would pass unjudged.",
            )
        )
    return rules


def _result(
    contract: Contract, rule: Rule, table: pd.DataFrame, passed: bool, failed: tuple[Any, ...]
) -> RuleResult:
    return RuleResult(
        contract=contract.table,
        rule=rule.text,
        column=rule.column,
        severity=rule.severity,
        why=rule.why,
        passed=passed,
        failed_rows=failed,
        checked=len(table),
    )


def _type_result(contract: Contract, table: pd.DataFrame, name: str) -> RuleResult:
    """Whether the cells of a column are of its type; what is missing is of every type."""
    kind = contract.columns[name].type
    cells = (
        table[name].dropna()
        if not IS_TYPE_OF_ALL[kind](table[name].dtype)
        else table[name].iloc[:0]
    )
    failed = tuple(cells.index[[not IS_OF_TYPE[kind](cell) for cell in cells]])
    return RuleResult(
        contract=contract.table,
        rule=f"column values to be of type {kind}",
        column=name,
        severity="quarantine",
        why="A cell of another type was read wrongly.",
        passed=not failed,
        failed_rows=failed,
        checked=len(table),
    )


def _is_number(cell: Any) -> bool:
    return isinstance(cell, int | float | np.number) and not isinstance(cell, bool | np.bool_)


def _is_datetime(cell: Any) -> bool:
    """A date or a time, or its ISO text: CSV knows no other."""
    return isinstance(cell, date) or (isinstance(cell, str) and _is_iso(cell))


@lru_cache(maxsize=4096)
def _is_iso(text: str) -> bool:
    try:
        return not pd.isna(pd.to_datetime(text, format="ISO8601"))
    except ValueError:
        return False


IS_OF_TYPE: dict[str, Callable[[Any], bool]] = {
    "text": lambda cell: isinstance(cell, str),
    "number": _is_number,
    "integer": lambda cell: _is_number(cell) and cell % 1 == 0,
    "boolean": lambda cell: (
        isinstance(cell, bool | np.bool_)
        or (isinstance(cell, str) and cell.lower() in ("true", "false"))
    ),
    "date": lambda cell: (
        _is_datetime(cell) and pd.Timestamp(cell) == pd.Timestamp(cell).normalize()
    ),
    "datetime": _is_datetime,
}
IS_TYPE_OF_ALL: dict[
    str, Callable[[Any], bool]
] = {  # where the type of a whole column says that of its cells
    "text": lambda dtype: isinstance(dtype, pd.StringDtype),
    "number": lambda dtype: (
        pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_bool_dtype(dtype)
    ),
    "integer": pd.api.types.is_integer_dtype,
    "boolean": pd.api.types.is_bool_dtype,
    "date": lambda _: False,
    "datetime": pd.api.types.is_datetime64_any_dtype,
}


@contextmanager
def _quiet() -> Iterator[None]:
    """Great Expectations without analytics, and without the warnings and the log lines of its
    import.
    """
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import great_expectations  # noqa: F401

        import mmdiag.contracts.expectations  # noqa: F401 - its expectations are known by name then

        for logger in (
            "great_expectations",
            "great_expectations.data_context.types.base",
        ):  # the latter sets itself to INFO
            logging.getLogger(logger).setLevel(logging.ERROR)
        yield


def _expectation(rule: Rule, number: int, contract: str) -> Any:
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


def _validate(
    table: pd.DataFrame, name: str, rules: list[Rule]
) -> dict[int, tuple[bool, tuple[Any, ...]]]:
    """Rule number -> (passed, index labels of the rows that break it)."""
    with _quiet():
        import great_expectations as gx

        context = gx.get_context(mode="ephemeral")
        context.enable_analytics(False)
        context.variables.progress_bars = {"globally": False, "metric_calculations": False}  # type: ignore[assignment]
        suite = gx.ExpectationSuite(name=name)
        for number, rule in enumerate(rules):
            suite.add_expectation(_expectation(rule, number, name))
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
