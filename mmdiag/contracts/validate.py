"""A table against its contract: how each rule fared, and an error where one of severity block is
broken. No value is kept.
"""

from collections.abc import Iterable
from typing import Any

import pandas as pd

from mmdiag.contracts.column_types import IS_OF_TYPE, IS_TYPE_OF_ALL
from mmdiag.contracts.engine import run_rules
from mmdiag.contracts.rules import Contract, Rule, RuleResult
from mmdiag.errors import ContractError


def validate(table: pd.DataFrame, contract: Contract) -> list[RuleResult]:
    """Validate a table against a contract, in one run of Great Expectations.

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
    found = run_rules(table, contract.table, rules)
    evaluated = [
        _result(contract, rule, table, *found[number]) for number, rule in enumerate(rules)
    ]
    return evaluated + [
        _type_result(contract, table, name) for name in contract.columns if name in table
    ]


def raise_if_blocked(results: Iterable[RuleResult], cure: str) -> None:
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
                why="A column that the contract does not know would pass unchecked.",
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
