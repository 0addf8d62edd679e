"""What a packaged contract asks for changes with its version alone: versions.json records each."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from mmdiag.application_root import application_root
from mmdiag.contracts.contract import PACKAGED

RECORD = Path(__file__).with_name("versions.json")
RULE = {
    "expect": "expect_column_values_to_be_between",
    "kwargs": {"column": "age", "min_value": 0},
    "severity": "block",
    "why": "Nobody is younger than 0.",
}
CONTRACT: dict[str, Any] = {
    "table": "people",
    "version": 1,
    "columns": {"age": {"type": "number"}},
    "rules": [RULE, {**RULE, "severity": "warn"}],
}


def read(name: str) -> dict[str, Any]:
    return yaml.safe_load((application_root() / "data_contracts" / f"{name}.yaml").read_text())


def digest(contract: dict[str, Any]) -> str:
    """SHA-256 of what a table is held against: not of reasons, nor of the order of the rules."""
    rules = [
        {key: value for key, value in rule.items() if key != "why"} for rule in contract["rules"]
    ]
    asked = {
        "columns": contract["columns"],
        "other_columns": contract.get("other_columns", "refuse"),
        "rules": sorted(rules, key=lambda rule: json.dumps(rule, sort_keys=True)),
    }
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def fault(contract: dict[str, Any], recorded: dict[str, str]) -> str:
    """What is wrong with a contract's version, and what to do; empty where nothing is.

    Args:
        recorded: Version -> digest, as versions.json has them for this contract.
    """
    table, version, found = contract["table"], str(contract["version"]), digest(contract)
    newest = max(map(int, recorded), default=0)
    line = f'"{version}": "{found}"'
    if recorded.get(version) == found and int(version) == newest:
        return ""
    if int(version) > newest:
        return f"{table} {version} is new: add {line} to {table} in {RECORD.name}"
    return (
        f"The columns or rules of data_contracts/{table}.yaml are not those of version {version}: "
        f"raise its version to {newest + 1}, say in data_contracts/CHANGELOG.md what changed, and "
        f'add "{newest + 1}": "{found}" to {table} in {RECORD.name}'
    )


@pytest.mark.parametrize("name", PACKAGED)
def test_a_contract_that_changed_has_a_new_version(name):
    assert not fault(read(name), json.loads(RECORD.read_text()).get(name, {}))


@pytest.mark.parametrize(
    "change",
    [
        {"rules": [RULE]},
        {"rules": [RULE, {**RULE, "severity": "quarantine"}]},
        {"rules": [RULE, {**RULE, "severity": "warn", "kwargs": {"column": "age"}}]},
        {"columns": {"age": {"type": "integer"}}},
        {"columns": {"age": {"type": "number", "unit": "years"}}},
        {"other_columns": "allow"},
        {"version": 0},
    ],
)
def test_a_change_without_a_new_version_is_found_and_says_what_to_do(change):
    said = fault({**CONTRACT, **change}, {"1": digest(CONTRACT)})
    assert "raise its version to 2" in said and "CHANGELOG.md" in said


def test_a_new_version_asks_for_its_line_in_the_record():
    recorded = {"1": digest(CONTRACT)}
    risen = {**CONTRACT, "version": 2, "rules": [RULE]}
    assert f'add "2": "{digest(risen)}" to people' in fault(risen, recorded)
    assert not fault(risen, {**recorded, "2": digest(risen)})


def test_another_reason_or_order_is_no_change():
    again = {**CONTRACT, "rules": [{**RULE, "severity": "warn", "why": "x"}, RULE]}
    assert digest(again) == digest(CONTRACT)
