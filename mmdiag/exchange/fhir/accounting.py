"""What became of every resource of an export: used, or left out and why."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

WHY: dict[str, str] = {
    "after_as_of": "It is dated after the case's date, or not precisely enough to be sure that "
    "it is not.",
    "no_case": "No case of its patient takes it.",
    "superseded": "A later one that is not after the case's date is taken.",
    "type_not_read": "Its type is none of those that are read.",
    "same_as_report": "It is the text of the case's own report.",
    "other_format": "The same document is taken in another format.",
    "duplicate": "It is in the export twice, with the same content.",
    "not_final": "Its status is not final, amended, corrected or appended (for a study: "
    "available; for a document: current).",
    "not_a_number_value": "An observation's value is neither a number nor yes or no.",
    "comparator": "Its value is a bound (such as <), not a number.",
    "not_json": "It is not strict JSON in UTF-8.",
    "duplicate_key": "A key of an object is there twice: two programs would read two different "
    "things.",
    "not_a_number": "It holds NaN, infinity, or a number out of range.",
    "too_deep": "It nests deeper than FHIR does.",
    "too_large": "It is larger than is read.",
    "not_fhir": "It is no FHIR resource.",
    "no_id": "It has neither id nor address.",
    "conflicting": "Its id is in the export twice, with different content.",
    "no_patient": "It names no patient, or one that is not in the export.",
    "other_patient": "What refers to it belongs to another patient.",
    "no_date": "It has no date, one that is not precise to the day, or one that cannot be.",
    "no_code": "It has no code of a known form.",
    "no_uid": "It has no DICOM study UID, or a series has none.",
    "several_units": "Its code comes in several units; nothing is converted unasked.",
    "link_only": "An attachment is a link; nothing is fetched.",
    "not_base64": "An attachment's data is not base64.",
    "wrong_hash": "An attachment's size or hash is not that of its data.",
    "no_note": "None of its attachments can be read.",
    "wrong_type": "An attachment is not of the type that it says, or of none that is read.",
}
ORDINARY = (
    "after_as_of",
    "no_case",
    "superseded",
    "type_not_read",
    "same_as_report",
    "other_format",
    "duplicate",
    "not_final",
    "not_a_number_value",
    "comparator",
)


class LeftOut(Exception):
    """One resource or attachment is not used; `why` is a key of `WHY`."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


@dataclass(slots=True)
class Account:
    """An outcome for each resource; each is counted once, as used where anything takes it."""

    kinds: dict[str, str] = field(default_factory=dict)
    outcomes: dict[str, str] = field(default_factory=dict)
    nameless: Counter[tuple[str, str]] = field(default_factory=Counter)

    def see(self, key: str, kind: str) -> None:
        """A resource is there."""
        self.kinds[key] = kind

    def use(self, key: str) -> None:
        """A resource went into the cohort."""
        self.outcomes[key] = "used"

    def leave(self, key: str, why: str) -> None:
        """A resource was left out, unless something else takes it."""
        if self.outcomes.get(key) != "used":
            self.outcomes[key] = why

    def leave_nameless(self, kind: str, why: str) -> None:
        """Something that cannot be told from others was left out."""
        self.nameless[kind, why] += 1

    def use_nameless(self, kind: str) -> None:
        """Something that cannot be told from others was used."""
        self.nameless[kind, "used"] += 1

    def table(self) -> dict[str, dict[str, Any]]:
        """Type -> `in`, `used` and `left_out` by reason; in = used + left out, always."""
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        for key, kind in self.kinds.items():
            counts[kind][self.outcomes.get(key, "no_case")] += 1
        for (kind, why), number in self.nameless.items():
            counts[kind][why] += number
        return {
            kind: {
                "in": found.total(),
                "used": found["used"],
                "left_out": {why: found[why] for why in sorted(found) if why != "used"},
            }
            for kind, found in sorted(counts.items())
        }


def refused(table: dict[str, dict[str, Any]]) -> int:
    """How many were left out because something is wrong with them."""
    return sum(
        number
        for row in table.values()
        for why, number in row["left_out"].items()
        if why not in ORDINARY
    )
