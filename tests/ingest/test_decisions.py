"""What people decided about refused input: several at once lose nothing, and nothing is decided
that no record names.
"""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pytest

from mmdiag.ingest import overrides
from mmdiag.ingest.overrides import accept, ask_again, read_decisions
from mmdiag.storage.ledger import Ledger
from mmdiag.workspace import Workspace

AT_ONCE, EACH = 4, 4


def refusal(case: str) -> pd.DataFrame:
    row = {"cohort": "k", "case_id": case, "modality": "scan", "code": "burned_in"}
    return pd.DataFrame([row])


def test_decisions_that_are_made_at_once_are_all_kept(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "w")

    def decide(who: int) -> None:
        for number in range(EACH):
            ledger = Ledger(workspace.ledger_url)
            accept(workspace, ledger, refusal(f"c{who}-{number}"), reason="seen", who=str(who))
            ask_again(workspace, "k", ["again"])

    with ThreadPoolExecutor(AT_ONCE) as people:
        list(people.map(decide, range(AT_ONCE)))
    kept = read_decisions(workspace.cohort("k"))
    assert len(kept.accepted) == AT_ONCE * EACH and kept.retries == {"again": AT_ONCE * EACH}
    assert len(Ledger(workspace.ledger_url).acceptances()) == AT_ONCE * EACH


def test_nothing_is_accepted_that_the_record_was_not_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = Workspace(tmp_path / "w")
    ledger = Ledger(workspace.ledger_url)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(overrides, "_write", killed)
        with pytest.raises(KeyboardInterrupt):
            accept(workspace, ledger, refusal("c1"), reason="seen", who="anna")
    assert ledger.acceptances()["who"].tolist() == ["anna"]
    with monkeypatch.context() as patched:
        patched.setattr(ledger, "record_acceptances", killed)
        with pytest.raises(KeyboardInterrupt):
            accept(workspace, ledger, refusal("c2"), reason="seen", who="anna")
    assert not read_decisions(workspace.cohort("k")).accepted


def test_two_who_accept_the_same_at_once_are_both_on_record(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "w")
    ledger = Ledger(workspace.ledger_url)
    for who in ("anna", "bo"):
        accept(workspace, ledger, refusal("c1"), reason=f"seen by {who}", who=who)
    assert sorted(ledger.acceptances()["who"]) == ["anna", "bo"]
