"""Which subjects train and which test: by subject, stratified, written once with the cohort."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mmdiag.config import EvaluationConfig
from mmdiag.contracts.internal_tables import validate_split
from mmdiag.errors import UsageError
from mmdiag.workspace import write_text


@dataclass(frozen=True, slots=True)
class Split:
    """Part of each labelled subject: `fold-0` ... in a cross-validation, else `train`, `valid` or
    `test`.

    Args:
        folds: Number of folds; 0 = held-out test.
        part: Subject -> part.
    """

    folds: int
    part: Mapping[str, str]

    def of(self, subjects: pd.Series) -> pd.Series:
        """Part of each case's subject; NA for subjects without a labelled case."""
        return subjects.map(dict(self.part))

    def summary(self) -> dict[str, int]:
        """`{"folds": 5}`, or the number of subjects of each part."""
        if self.folds:
            return {"folds": self.folds}
        return {
            name: sum(part == name for part in self.part.values())
            for name in ("train", "valid", "test")
        }


def read_split(path: Path) -> Split:
    """The cohort's split as it was written.

    Args:
        path: split.json of the cohort.
    """
    written = json.loads(path.read_text())
    return Split(int(written["folds"]), written["part"])


def read_or_make_split(
    path: Path, cases: pd.DataFrame, settings: EvaluationConfig, names: Sequence[str] = ()
) -> Split:
    """The cohort's split; made at the first call, and afterwards only extended by new subjects. It
    is validated against its contract each time.

    Args:
        path: split.json of the cohort.
        cases: `subject_id`, and `stratum` (NaN = unlabelled).
        names: Of the strata, for the message; none = their numbers.

    Raises:
        UsageError: Too few labelled subjects to evaluate anything.
        ContractError: The split that was found breaks its contract, or the one that was made would.
    """
    strata = _by_subject(cases)
    if path.is_file():
        split = read_split(path)
        new = strata[~strata.index.isin(list(split.part))]
        split = Split(split.folds, {**split.part, **_extend(split, new)}) if len(new) else split
    else:
        split, new = _make(strata, settings, names), strata
    validate_split(split.part, cases[cases["stratum"].notna()])
    if len(new):
        write_text(
            path,
            json.dumps({"folds": split.folds, "part": dict(sorted(split.part.items()))}, indent=1),
        )
    return split


def _by_subject(cases: pd.DataFrame) -> pd.Series:
    """One stratum a labelled subject: that of its first labelled case."""
    labelled = cases[cases["stratum"].notna()]
    return labelled.groupby("subject_id", sort=True)["stratum"].first()


def require_subjects(cases: pd.DataFrame, names: Sequence[str] = ()) -> None:
    """See whether there are subjects enough to evaluate anything.

    Args:
        cases: `subject_id`, and `stratum` (NaN = unlabelled).
        names: Of the strata, for the message; none = their numbers.

    Raises:
        UsageError: There are too few.
    """
    _require_strata(_by_subject(cases), names)


def _require_strata(strata: pd.Series, classes: Sequence[str]) -> None:
    counts = strata.value_counts()
    if len(counts) < 2 or counts.min() < 2:
        numbers = [round(float(str(number))) for number in counts.index]
        named = [classes[n] if n < len(classes) else f"class {n}" for n in numbers]
        found = ", ".join(f"{count} of {name}" for count, name in zip(counts, named, strict=True))
        raise UsageError(
            f"A model is evaluated on at least 2 labelled subjects of each class, found {found} "
            "(of several cases of a subject the first counts): add labelled cases to the cohort."
        )


def _make(strata: pd.Series, settings: EvaluationConfig, classes: Sequence[str]) -> Split:
    _require_strata(strata, classes)
    names: list[str]
    if len(strata) < settings.holdout_from:
        folds = int(min(settings.folds, strata.value_counts().min()))
        shares = {f"fold-{i}": 1 / folds for i in range(folds)}
    else:
        folds = 0
        shares = {
            "test": settings.test_share,
            "valid": settings.valid_share,
            "train": 1 - settings.test_share - settings.valid_share,
        }
    part: dict[str, str] = {}
    for _, members in strata.groupby(strata):
        subjects = sorted(members.index, key=_shuffled)
        names = _quota(len(subjects), shares, offset=len(part))
        part.update(zip(subjects, names, strict=True))
    return Split(folds, part)


def _quota(number: int, shares: Mapping[str, float], *, offset: int) -> list[str]:
    """Part names in proportion to their shares; the offset rotates which part gets the remainder,
    so that strata do not all favour the first.
    """
    names = list(shares)
    exact = np.asarray([number * shares[name] for name in names])
    counts = np.floor(exact).astype(int)
    order = np.argsort(-(exact - counts), kind="stable")
    order = (
        np.roll(order, -(offset % len(names)))
        if np.allclose(exact - counts, (exact - counts)[0])
        else order
    )
    for i in order[: number - counts.sum()]:
        counts[i] += 1
    return [name for name, count in zip(names, counts, strict=True) for _ in range(count)]


def _extend(split: Split, new: pd.Series) -> dict[str, str]:
    """New subjects go where their key falls; nobody who was placed is moved."""
    names = sorted(set(split.part.values()))
    sizes = np.asarray(
        [sum(part == name for part in split.part.values()) for name in names], dtype=float
    )
    edges = np.cumsum(sizes / sizes.sum())
    return {
        subject: names[
            min(
                int(np.searchsorted(edges, int(_shuffled(subject)[:8], 16) / 16**8)), len(names) - 1
            )
        ]
        for subject in new.index
    }


def _shuffled(subject: str) -> str:
    return hashlib.sha256(f"split\x1f{subject}".encode()).hexdigest()


def validation_subjects(subjects: pd.Series, strata: pd.Series, share: float) -> set[str]:
    """Subjects of a training part that are held back for early stopping: a stratified share of
    them, fixed by their keys.
    """
    table = pd.DataFrame({"subject": subjects, "stratum": strata}).drop_duplicates("subject")
    held_back: set[str] = set()
    for _, members in table.groupby("stratum"):
        order = sorted(members["subject"], key=lambda subject: _shuffled(f"valid\x1f{subject}"))
        held_back.update(order[: max(1, round(share * len(order)))])
    return held_back


def inner_folds(subjects: pd.Series, strata: pd.Series, folds: int) -> pd.Series:
    """Fold of each case inside a training part, from 0: stratified by subject, fixed by the
    subjects' keys.

    Args:
        subjects: Of the cases of the training part.
    """
    table = pd.DataFrame({"subject": subjects, "stratum": strata}).drop_duplicates("subject")
    fold: dict[str, int] = {}
    for _, members in table.groupby("stratum"):
        for subject in sorted(
            members["subject"], key=lambda subject: _shuffled(f"inner\x1f{subject}")
        ):
            fold[subject] = len(fold) % folds
    return subjects.map(fold)
