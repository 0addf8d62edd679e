"""What people decided about refused input: to read it again, or to accept it with a reason. Kept
with the cohort, and part of a case's version.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mmdiag.errors import UsageError
from mmdiag.workspace import write_text

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
    path = folder / "decisions.json"
    known: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    return Decisions(known.get("retries", {}), known.get("accepted", {}))


def ask_again(folder: Path, case_ids: Sequence[str]) -> None:
    """Have the files of some cases read again at the next ingestion."""
    decisions = read_decisions(folder)
    _write(
        folder,
        Decisions(
            {
                **decisions.retries,
                **{case: decisions.retries.get(case, 0) + 1 for case in case_ids},
            },
            decisions.accepted,
        ),
    )


def accept(
    folder: Path, case_id: str, refusals: Sequence[tuple[str, str]], *, reason: str, who: str
) -> None:
    """Accept what a rule refuses, from the next ingestion on: all of it or nothing.

    Args:
        refusals: Modality and code of each.

    Raises:
        UsageError: A code says that it was not read, or there is no reason.
    """
    unread = [code for _, code in refusals if code not in ACCEPTABLE]
    if unread:
        raise UsageError(
            f"Only what was read can be accepted ({', '.join(ACCEPTABLE)}), {unread[0]} cannot: "
            f"mend the source, then `mmdiag quarantine retry {case_id}`; or name another modality "
            "by --modality."
        )
    if not reason.strip():
        raise UsageError(
            'Who accepts what a rule refuses says why, no reason was given: add --reason "...".'
        )
    decisions = read_decisions(folder)
    stamp = datetime.now(UTC).isoformat(timespec="seconds")
    facts = [
        {"modality": name, "code": code, "reason": reason.strip(), "who": who, "at": stamp}
        for name, code in refusals
    ]
    _write(
        folder,
        Decisions(
            decisions.retries,
            {**decisions.accepted, case_id: [*decisions.accepted.get(case_id, ()), *facts]},
        ),
    )


def _write(folder: Path, decisions: Decisions) -> None:
    write_text(
        folder / "decisions.json",
        json.dumps(
            {"retries": dict(decisions.retries), "accepted": dict(decisions.accepted)}, indent=1
        ),
    )
