"""Commands that are told a cohort by its name: of one that is not known nothing is known, and a
case of one is none of another.
"""

from pathlib import Path

import pandas as pd
import pytest

from mmdiag.cli import boundary, cli
from mmdiag.storage.ledger import Ledger
from mmdiag.workspace import Workspace

REFUSED = pd.DataFrame(
    {"case_id": ["c1"], "modality": ["scan"], "code": ["burned_in"], "file_sha256": [""]}
).assign(rule="", detail="", cure="")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Two cohorts that each have a case c1 in quarantine."""
    place = Workspace(tmp_path / "w")
    ledger = Ledger(place.ledger_url)
    for name in ("one", "two"):
        ledger.record_cohort(name, "sha256:0", {"kind": "binary"}, {}, {"in": 1})
        ledger.record_quarantine(name, REFUSED)
    return place


@pytest.mark.parametrize(
    "command",
    [
        "quarantine list",
        "quarantine retry --all",
        "quarantine accept c1 --reason seen",
        "models list",
        "reviews",
        "contracts",
    ],
)
def test_a_cohort_that_is_not_known_is_wrong_use_and_not_an_empty_answer(
    workspace: Workspace, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    place = ["--workspace", str(workspace.path)]
    assert boundary.run(cli, [*command.split(), "--cohort", "oen", *place]) == 2
    said = capsys.readouterr()
    assert "known are one, two" in said.err and not said.out
    empty = [*command.split(), "--cohort", "one", "--workspace", str(workspace.path / "empty")]
    assert boundary.run(cli, empty) == 2


def test_a_refusal_is_accepted_of_one_cohort_where_several_have_the_key(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    """c1 of the other one is another patient."""
    asked = ["quarantine", "accept", "c1", "--reason", "seen", "--workspace", str(workspace.path)]
    ledger = Ledger(workspace.ledger_url)
    assert boundary.run(cli, asked) == 2
    assert "one and two both have the key c1" in capsys.readouterr().err
    assert ledger.acceptances().empty
    assert boundary.run(cli, [*asked, "--cohort", "two"]) == 0
    assert ledger.acceptances()["cohort"].tolist() == ["two"]


def test_what_was_not_read_is_not_accepted_and_nothing_beside_it(workspace: Workspace) -> None:
    ledger = Ledger(workspace.ledger_url)
    other = REFUSED.assign(modality="report", code="not_text")
    ledger.record_quarantine("one", pd.concat([REFUSED, other], ignore_index=True))
    asked = ["quarantine", "accept", "c1", "--reason", "seen", "--cohort", "one"]
    asked += ["--workspace", str(workspace.path)]
    assert boundary.run(cli, asked) == 2
    assert not (workspace.cohort("one") / "decisions.json").exists()
    assert boundary.run(cli, [*asked, "--modality", "scan"]) == 0
    assert ledger.acceptances()["modality"].tolist() == ["scan"]
