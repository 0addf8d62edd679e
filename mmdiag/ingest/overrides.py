"""What people decided about refused input: to read it again, or to accept it with a reason. Kept
with the cohort, and part of a case's version.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from mmdiag.errors import UsageError
from mmdiag.roles import require_operator
from mmdiag.storage.ledger import Ledger
from mmdiag.storage.turns import alone
from mmdiag.workspace import Workspace, write_text

FILE, LOCK = "decisions.json", "decisions.lock"

# What a person may accept: it was read, and a rule speaks against it. What was not read cannot be
# accepted.
ACCEPTABLE = ("contract", "burned_in", "after_as_of", "same_image", "same_note", "label_in_note")


@dataclass(frozen=True, slots=True)
class Decisions:
    """Decisions of one cohort.

    Args:
        retries: Case -> how often its files were asked to be read again.
        accepted: Case -> what was accepted: modality, code, reason, who, at.
    """

    retries: Mapping[str, int]
    accepted: Mapping[str, Sequence[Mapping[str, str]]]

    def text_of(self, case_id: str) -> str:
        """What makes a new version of the case; empty where nothing was decided."""
        retried = f"retry {self.retries[case_id]}" if case_id in self.retries else ""
        return retried + "".join(
            f" accepted {modality} {code}" for modality, code in self.overridden(case_id)
        )

    def overridden(self, case_id: str) -> list[tuple[str, str]]:
        """(modality, reason code) pairs that were accepted."""
        return sorted({(one["modality"], one["code"]) for one in self.accepted.get(case_id, ())})


def read_decisions(folder: Path) -> Decisions:
    """The decisions of a cohort's folder."""
    path = folder / FILE
    known: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    return Decisions(known.get("retries", {}), known.get("accepted", {}))


def ask_again(workspace: Workspace, cohort: str, case_ids: Sequence[str]) -> None:
    """Have the files of some cases read again at the next ingestion.

    Raises:
        UsageError: The user's role only looks or reviews.
    """
    with _deciding(workspace, cohort) as folder:
        known = read_decisions(folder)
        again = {case: known.retries.get(case, 0) + 1 for case in case_ids}
        _write(folder, Decisions({**known.retries, **again}, known.accepted))


def accept(
    workspace: Workspace,
    ledger: Ledger,
    refusals: pd.DataFrame,
    *,
    reason: str,
    who: str,
) -> None:
    """Accept what a rule refuses of one case, from the next ingestion on: all of it or nothing. The
    ledger is told first, so that nothing is accepted that no record names.

    Args:
        refusals: `cohort`, `case_id`, `modality` and `code` of each.

    Raises:
        UsageError: A code says that it was not read, there is no reason, or the user's role only
            looks or reviews.
    """
    cohort, case_id = (str(refusals[name].iloc[0]) for name in ("cohort", "case_id"))
    pairs = list(zip(refusals["modality"], refusals["code"], strict=True))
    unread = [code for _, code in pairs if code not in ACCEPTABLE]
    if unread:
        raise UsageError(
            f"Only what was read can be accepted ({', '.join(ACCEPTABLE)}), {unread[0]} cannot: "
            f"mend the source, then `mmdiag quarantine retry {case_id}`; or name another modality "
            "by --modality."
        )
    reason = reason.strip()
    if not reason:
        raise UsageError(
            'Who accepts what a rule refuses says why, no reason was given: add --reason "...".'
        )
    stamp = datetime.now(UTC).isoformat(timespec="seconds")
    facts = [
        {"modality": name, "code": code, "reason": reason, "who": who, "at": stamp}
        for name, code in pairs
    ]
    with _deciding(workspace, cohort) as folder:
        named = refusals[["cohort", "case_id", "modality", "code"]]
        ledger.record_acceptances(named.assign(reason=reason, who=who))
        known = read_decisions(folder)
        own = [*known.accepted.get(case_id, ()), *facts]
        _write(folder, Decisions(known.retries, {**known.accepted, case_id: own}))


def forget(workspace: Workspace, cohort: str, case_ids: Collection[str]) -> None:
    """Take out what was decided about some cases."""
    with _deciding(workspace, cohort) as folder:
        if not (folder / FILE).is_file():
            return
        known = read_decisions(folder)
        retries = {case: n for case, n in known.retries.items() if case not in case_ids}
        accepted = {case: said for case, said in known.accepted.items() if case not in case_ids}
        _write(folder, Decisions(retries, accepted))


@contextmanager
def _deciding(workspace: Workspace, cohort: str) -> Iterator[Path]:
    """The folder of a cohort whose decisions are read and written by nobody else meanwhile; who
    ingests holds the cohort, and does not keep people from deciding.
    """
    require_operator(workspace.path)
    folder = workspace.cohort(cohort)
    with alone(folder / LOCK, lambda: None):
        yield folder


def _write(folder: Path, decisions: Decisions) -> None:
    write_text(
        folder / FILE,
        json.dumps(
            {"retries": dict(decisions.retries), "accepted": dict(decisions.accepted)}, indent=1
        ),
    )
