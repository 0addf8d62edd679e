"""Tables that mmdiag makes itself, brought to the form of their contract and validated: the case
table with its labels, splits, predictions.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from mmdiag.contracts.contract import packaged_contract
from mmdiag.contracts.rules import RuleResult
from mmdiag.contracts.validate import raise_if_blocked, validate

KEYS = ["case_id", "subject_id", "as_of", "site"]
LABELS = ["label", "time", "event"]
PREDICTION_FACTS = ["case_id", "subject_id", "as_of", "bundle_id", "role", "predicted", "scored_at"]


def validate_case_table(cases: pd.DataFrame) -> tuple[list[RuleResult], dict[str, str]]:
    """Validate the case table and its labels against the contracts `cases` and `labels`.

    Args:
        cases: What `read_cases` gives; a column of which nothing is known is not evaluated.

    Returns:
        How every rule fared, and for each case that breaks a rule of severity quarantine: that
            rule.

    Raises:
        ContractError: A rule of severity block is broken.
    """
    table = cases.reset_index(drop=True)
    known = {name for name in (*KEYS, *LABELS) if name in table and table[name].notna().any()} | {
        "case_id",
        "subject_id",
    }
    results = []
    for name, columns in (("cases", KEYS), ("labels", ["case_id", *LABELS])):
        results += _validated(table[[column for column in columns if column in known]], name)
    raise_if_blocked(results, "Correct the case table.")
    refused: dict[str, str] = {}
    for result in results:
        if result.severity == "quarantine":
            for row in result.failed_rows:
                refused.setdefault(
                    str(table["case_id"].iloc[row]),
                    f"{result.contract}: {result.column} {result.rule}",
                )
    return results, refused


# contract -> the last table that was held against it, and how its rules fared
_LAST: dict[str, tuple[pd.DataFrame, list[RuleResult]]] = {}


def _validated(table: pd.DataFrame, name: str) -> list[RuleResult]:
    """A table against a packaged contract, once: an ingestion plans with it and commits with it."""
    before = _LAST.get(name)
    if before is None or not before[0].equals(table):
        _LAST[name] = before = table.copy(), validate(table, packaged_contract(name))
    return before[1]


def validate_split(part: Mapping[str, str], cases: pd.DataFrame) -> list[RuleResult]:
    """Validate a split against its contract.

    Args:
        part: Subject -> part of the split.
        cases: The labelled cases: `subject_id`, and `case_id` and `together` (the group of cases
            that are kept together) where they are known.

    Raises:
        ContractError: A subject or a group lies in two parts, or a labelled case in none or in an
            unknown one.
    """
    named = [name for name in ("case_id", "subject_id", "together") if name in cases]
    table = cases[named].reset_index(drop=True)
    results = validate(
        table.assign(part=table["subject_id"].map(dict(part))), packaged_contract("splits")
    )
    raise_if_blocked(results, "Remove split.json of the cohort, so that it is made anew.")
    return results


def validate_predictions(table: pd.DataFrame, *, exclusive: bool = True) -> list[RuleResult]:
    """Validate predictions against their contract before they are published.

    Args:
        table: The columns of predictions.parquet, one row a case.
        exclusive: Whether one class rules out the others, so that their probabilities add up to 1;
            False for a task with several labels.

    Raises:
        ContractError: A rule of severity block is broken: nothing of this table may be published.
    """
    results = validate(_prediction_facts(table, exclusive), packaged_contract("predictions"))
    raise_if_blocked(
        results,
        "Nothing was published: this is a fault of the program or of its bundle; score again, "
        "and report it if it stays.",
    )
    return results


def _prediction_facts(table: pd.DataFrame, exclusive: bool) -> pd.DataFrame:
    """What the contract counts of each prediction; the probabilities of one that abstains may be
    missing.
    """
    facts = table[
        [name for name in PREDICTION_FACTS if name in table and table[name].notna().any()]
    ].copy()
    answers = table[
        [name for name in table if name == "probability" or str(name).startswith("probability_")]
    ].astype(float)
    abstained = (
        table["abstained"].to_numpy(bool)
        if "abstained" in table
        else np.zeros(len(table), dtype=bool)
    )
    unanswered = ~np.isfinite(answers.to_numpy())
    facts["n_unanswered"] = np.where(
        abstained, 0, unanswered.sum(axis=1) + int(answers.shape[1] == 0)
    )
    facts["lowest"], facts["highest"] = answers.min(axis=1), answers.max(axis=1)
    if answers.shape[1] > 1 and exclusive:
        facts["total"] = answers.sum(axis=1).where(~unanswered.any(axis=1))
    present = table["modalities"]
    facts["n_modalities"] = [len(names) for names in present]
    strays = []
    for column in (str(name) for name in table if str(name).startswith("contribution_")):
        absent = np.asarray(
            [column.removeprefix("contribution_") not in names for names in present], dtype=bool
        )
        strays.append(np.where(absent, np.abs(table[column].fillna(np.inf).to_numpy(float)), 0.0))
    if strays:
        facts["contribution_of_absent"] = np.max(np.stack(strays), axis=0)
    return facts
