"""Data contracts: one YAML for each table that crosses a boundary, read and checked."""

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

import yaml

from mmdiag.application_root import application_root
from mmdiag.contracts.column_types import IS_OF_TYPE
from mmdiag.contracts.engine import expectation, quiet
from mmdiag.contracts.rules import Column, Contract, Rule
from mmdiag.errors import UnknownNameError, UsageError
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


def read_contract(path: Path) -> Contract:
    """Read and check a contract file.

    Raises:
        UsageError: It is not YAML, or says something that is not known; an expectation is unknown
            or its arguments are wrong.
    """
    try:
        raw = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
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
    _check(contract, raw, Path(path).name)
    with quiet():
        for rule in contract.rules:
            expectation(rule, 0, Path(path).name)
    return contract


@lru_cache(maxsize=16)
def packaged_contract(name: str) -> Contract:
    """One of the contracts that come with mmdiag, by a name of `PACKAGED`."""
    return read_contract(application_root() / "data_contracts" / f"{name}.yaml")


def _check(contract: Contract, keys: Iterable[str], file: str) -> None:
    """Known words only, a reason for each rule, and rules about columns that are there."""
    words: list[tuple[str, str, tuple[str, ...]]] = [
        ("A key of a contract", str(key), SECTIONS) for key in keys
    ]
    words += [("other_columns", str(contract.other_columns), OTHER_COLUMNS)]
    words += [
        ("The type of a column", str(column.type), tuple(IS_OF_TYPE))
        for column in contract.columns.values()
    ]
    words += [("A severity", str(rule.severity), SEVERITIES) for rule in contract.rules]
    for what, word, known in words:
        if word not in known:
            raise UnknownNameError(what, word, known, f" in {file}")
    for rule in contract.rules:
        if not rule.why:
            raise UsageError(f"Every rule says why, {rule.expect} in {file} does not: add why.")
        absent = sorted(rule.columns - set(contract.columns))
        if absent and contract.other_columns == "refuse":
            raise UnknownNameError(
                "The column of a rule", absent[0], contract.columns, f" in {file}"
            )
