"""docs/guides/add-a-contract-rule.md does what it says: its files are written, its rule is added,
its commands give the exit codes and the results that it names.
"""

import json
import os
import re
import subprocess
import sys

import pytest
import yaml
from guide import copy_checkout
from repository import ROOT

pytestmark = pytest.mark.slow  # a guide, tried from its text in a copy of the project

GUIDE = (ROOT / "docs" / "guides" / "add-a-contract-rule.md").read_text()
BLOCK = re.compile(r"(?P<before>[^\n]*)\n\n```(?P<language>\w+)\n(?P<body>.*?)```", re.DOTALL)


@pytest.fixture(scope="module")
def followed(tmp_path_factory):
    """What each command answered, and the checkout that the guide was followed in."""
    checkout = copy_checkout(tmp_path_factory.mktemp("guide") / "checkout")
    answers = {}
    for block in BLOCK.finditer(GUIDE):
        before, body = block["before"], block["body"]
        if write := re.fullmatch(r"Write `(?P<path>[^`]+)`:", before):
            (checkout / write["path"]).write_text(body)
        elif append := re.fullmatch(r"Append to `(?P<path>[^`]+)`:", before):
            _append(checkout / append["path"], body)
        else:
            code = int(re.fullmatch(r"Run, exit (?P<code>\d):", before)["code"])
            for command in body.splitlines():
                answers[command] = _run(command, checkout, code)
    return answers, checkout


def _append(contract, rule: str) -> None:
    text = contract.read_text()
    assert "Raise the contract's `version` by one." in GUIDE
    raised = re.sub(r"^version: (\d+)", lambda v: f"version: {int(v[1]) + 1}", text, flags=re.M)
    contract.write_text(raised + rule)


def _run(command: str, checkout, code: int) -> str:
    environment = {**os.environ, "PYTHONPATH": str(checkout), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-m", *command.split()],
        cwd=checkout,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done.stdout


def test_a_table_that_breaks_the_new_rule_is_quarantined_by_the_contract(followed):
    answers, _ = followed
    verdict = json.loads(next(text for name, text in answers.items() if "mistyped.csv" in name))
    assert (verdict["verdict"], verdict["code"]) == ("quarantined", "contract")
    assert "age" in verdict["detail"] and "710" not in verdict["detail"]


def test_a_rule_added_to_a_packaged_contract_is_checked_at_the_next_ingestion(followed):
    answers, checkout = followed
    rule = yaml.safe_load((checkout / "data_contracts" / "notes.yaml").read_text())["rules"][-1]
    rows = json.loads(answers["mmdiag contracts --json"])
    found = next(row for row in rows if row["why"] == rule["why"])
    assert (found["contract"], found["severity"], found["failed"]) == ("notes", "warn", 0)
    assert found["checked"] == 10
