"""Which cases of a cohort a bundle has still to score: told from the ledger, the case table and the
subjects that it learned from, before the model or anything heavy is loaded.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from mmdiag.cohort.labels import labelled
from mmdiag.privacy.subject_keys import SubjectKeys
from mmdiag.storage.ledger import Ledger
from mmdiag.storage.store import Store

Versions = list[tuple[str, str]]  # case_id and version of each


@dataclass(frozen=True, slots=True)
class Pending:
    """What there is to do.

    Args:
        asked: Rows of the case table that are meant at all.
        new: Those of them that have no prediction yet.
        unexplained: Those that have one without the contributions that are asked for.
        versions: case_id and version of every row of the case table.
        left_out: Why the others are not meant -> how many: `labelled`, `reviewed`, `train`.
    """

    asked: Sequence[int]
    new: Sequence[int]
    unexplained: Sequence[int]
    versions: Versions
    left_out: Mapping[str, int]

    @property
    def nothing(self) -> bool:
        """Whether all is done."""
        return not self.new and not self.unexplained


def role_of(subject_id: str, learned: Sequence[SubjectKeys], key: bytes | None) -> str:
    """`train` where a model is known to have learned from this subject, else `new`."""
    return "train" if any(keys.holds(subject_id, key) for keys in learned) else "new"


def pending(
    store: Store,
    ledger: Ledger,
    bundle_id: str,
    learned: Sequence[SubjectKeys],
    key: bytes | None,
    *,
    contributions: bool = True,
    only_open: bool = False,
    reviewed: Collection[tuple[str, str]] = (),
) -> Pending:
    """See what a bundle has still to score.

    Args:
        learned: The subjects that it learned from.
        key: Of the workspace.
        contributions: Whether cases are to be explained, too.
        only_open: Only cases of role `new` that have no label and no review.
        reviewed: case_id and version of the cases that have a review.
    """
    versions: Versions = list(zip(store.cases["case_id"], store.cases["version"], strict=True))
    why = dict.fromkeys(range(len(versions)), "")
    if only_open:
        answered = labelled(store.cases, store.task.kind)
        seen, subjects = set(reviewed), store.cases["subject_id"].tolist()
        for row in why:
            if answered[row]:
                why[row] = "labelled"
            elif versions[row] in seen:
                why[row] = "reviewed"
            elif role_of(subjects[row], learned, key) == "train":
                why[row] = "train"
    asked = [row for row, reason in why.items() if not reason]
    left_out = dict(Counter(reason for reason in why.values() if reason))
    done = ledger.scored(bundle_id, store.folder.name)
    new = [row for row in asked if versions[row] not in done]
    lacking = ledger.unexplained(bundle_id, store.folder.name) if contributions else set()
    unexplained = [row for row in asked if versions[row] in lacking]
    return Pending(asked, new, unexplained, versions, left_out)
