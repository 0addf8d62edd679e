"""Which subjects train and which test: what is kept together stays so, parts are stratified by
subject, and a split is written once with the cohort.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from numpy import ndarray

from mmdiag.cohort.kept_together import split_units
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

    def of_units(self, cases: pd.DataFrame) -> pd.Series:
        """Part in which anything lies that is kept together with a case; NA where nothing does."""
        part, units = self.of(cases["subject_id"]), split_units(cases)
        return part.groupby(units).transform("first")

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
    path: Path,
    cases: pd.DataFrame,
    settings: EvaluationConfig,
    names: Sequence[str] = (),
    *,
    survival: bool = False,
) -> Split:
    """The cohort's split; made at the first call, and afterwards only extended by new subjects. It
    is validated against its contract each time.

    Args:
        path: split.json of the cohort.
        cases: `subject_id`, `stratum` (NaN = unlabelled), and `together` where cases are kept
            together.
        names: Of the strata, for the message; none = their numbers.
        survival: Whether strata say who had the event: of the others there may be none.

    Raises:
        UsageError: Too few labelled subjects to evaluate anything.
        ContractError: The split that was found breaks its contract, or the one that was made would.
    """
    subjects = _by_subject(cases)
    if path.is_file():
        split = read_split(path)
        new = subjects[~subjects.index.isin(list(split.part))]
        if len(new):
            split = Split(split.folds, {**split.part, **_extend(split, subjects, new)})
    else:
        split, new = _make(subjects, settings, _fewest(cases, names, survival)), subjects
    validate_split(split.part, cases[cases["stratum"].notna()])
    if len(new):
        write_text(
            path,
            json.dumps({"folds": split.folds, "part": dict(sorted(split.part.items()))}, indent=1),
        )
    return split


def _by_subject(cases: pd.DataFrame) -> pd.DataFrame:
    """`stratum` and `unit` of each labelled subject: the stratum is the rarest of its labelled
    cases, as that of the visit at which something was found.
    """
    table = cases.assign(unit=split_units(cases))
    labelled = table[table["stratum"].notna()]
    stratum = labelled["stratum"].to_numpy(float)
    _, number, count = np.unique(stratum, return_inverse=True, return_counts=True)
    labelled = labelled.iloc[np.lexsort((-stratum, count[number]))]
    return labelled.groupby("subject_id", sort=True)[["stratum", "unit"]].first()


def require_subjects(
    cases: pd.DataFrame, names: Sequence[str] = (), *, survival: bool = False
) -> None:
    """See whether there are subjects enough to evaluate anything.

    Args:
        cases: As of `read_or_make_split`.
        names, survival: As of `read_or_make_split`.

    Raises:
        UsageError: There are too few.
    """
    _fewest(cases, names, survival)


def _fewest(cases: pd.DataFrame, classes: Sequence[str], survival: bool) -> int:
    """How many units have a case of the rarest class; of a survival, how many had the event.

    Raises:
        UsageError: Too few to evaluate anything.
    """
    labelled = cases.assign(unit=split_units(cases)).dropna(subset="stratum")
    counts = labelled.groupby("stratum")["unit"].nunique().sort_values(ascending=False)
    subjects = labelled["subject_id"].nunique()
    if survival:
        events = int(counts.get(1.0, 0))
        if events < 2:
            raise UsageError(
                f"A survival is evaluated on at least 2 labelled subjects with the event, found "
                f"{events} among {subjects}: add labelled cases to the cohort."
            )
        return events
    if len(counts) < 2 or counts.min() < 2:
        numbers = [round(float(str(number))) for number in counts.index]
        named = [classes[n] if n < len(classes) else f"class {n}" for n in numbers]
        found = ", ".join(f"{count} of {name}" for count, name in zip(counts, named, strict=True))
        kept = (
            " (those that are kept together count as one)"
            if labelled["unit"].nunique() < subjects
            else ""
        )
        other = ", or list the rare ones under unknown in [task]" if len(counts) > 2 else ""
        raise UsageError(
            f"A model is evaluated on at least 2 labelled subjects of each class, "
            f"found {found}{kept}: add labelled cases to the cohort{other}."
        )
    return int(counts.min())


def _make(subjects: pd.DataFrame, settings: EvaluationConfig, fewest: int) -> Split:
    """A new split.

    Args:
        fewest: Units of which every fold has one.
    """
    if len(subjects) < settings.holdout_from:
        folds = min(settings.folds, fewest)
        shares = {f"fold-{i}": 1 / folds for i in range(folds)}
    else:
        folds = 0
        shares = {
            "test": settings.test_share,
            "valid": settings.valid_share,
            "train": 1 - settings.test_share - settings.valid_share,
        }
    part = _parts(subjects, shares, "")
    units = subjects["unit"].tolist()
    return Split(folds, {str(name): part[u] for name, u in zip(subjects.index, units, strict=True)})


def _parts(subjects: pd.DataFrame, shares: Mapping[str, float], salt: str) -> dict[str, str]:
    """Part of each unit: units of several subjects first, the largest of them foremost, each where
    most is missing; then single subjects, stratum by stratum, in the order of their keys.

    Args:
        subjects: `unit` and `stratum`, a row a subject.
        salt: Another one gives another order.
    """
    counts = _counts(subjects)
    numbers, units = counts.to_numpy(float), list(counts.index)
    size, total = numbers.sum(axis=1), numbers.sum(axis=0)
    names, share = list(shares), np.maximum(list(shares.values()), 1e-9)
    have = np.zeros((len(names), len(total)))
    part: dict[str, str] = {}
    several = np.flatnonzero(size > 1)
    for row in sorted(several, key=lambda row: (-size[row], _shuffled(salt + units[row]))):
        away = have - share[:, None] * total
        # what the squared distances from the shares that are due grow by
        worse = (numbers[row] ** 2 + 2 * numbers[row] * away) / total**2
        chosen = int(np.argmin(worse.sum(axis=1) / share))
        have[chosen] += numbers[row]
        part[units[row]] = names[chosen]
    placed = int(have.sum())
    for column, whole in enumerate(total):
        single = [units[row] for row in np.flatnonzero((size == 1) & (numbers[:, column] == 1))]
        quota = _quota(int(whole), share, offset=placed)
        room = _room(quota, have[:, column], len(single))
        given = np.repeat(names, room).tolist()
        part |= zip(sorted(single, key=lambda unit: _shuffled(salt + unit)), given, strict=True)
        placed += len(single)
    return part


def _counts(subjects: pd.DataFrame) -> pd.DataFrame:
    """Subjects of each unit (rows, sorted) by stratum (columns)."""
    return pd.crosstab(subjects["unit"], subjects["stratum"])


def _quota(number: int, share: Float[ndarray, "part"], *, offset: int) -> Int[ndarray, "part"]:
    """Subjects of each part in proportion to its share; the offset rotates which part gets the
    remainder, so that strata do not all favour the first.
    """
    exact: np.ndarray = number * share
    counts: np.ndarray = np.floor(exact).astype(int)
    order = np.argsort(-(exact - counts), kind="stable")
    if np.allclose(exact - counts, (exact - counts)[0]):
        order = np.roll(order, -(offset % len(share)))
    counts[order[: number - counts.sum()]] += 1
    return counts


def _room(
    quota: Int[ndarray, "part"], have: Float[ndarray, "part"], number: int
) -> Int[ndarray, "part"]:
    """How many more subjects each part gets of so many: up to its quota, less where units of
    several subjects filled other parts beyond theirs.
    """
    room: np.ndarray = np.maximum(quota - have.astype(int), 0)
    while room.sum() > number:
        fullest = np.where(room > 0, (have + room) / np.maximum(quota, 1), -1.0)
        room[int(np.argmax(fullest))] -= 1
    return room


def _extend(split: Split, subjects: pd.DataFrame, new: pd.DataFrame) -> dict[str, str]:
    """New subjects go where what they are kept together with lies, else where their key falls;
    nobody who was placed is moved.
    """
    placed = split.of(pd.Series(subjects.index, index=subjects.index))
    beside = placed.groupby(subjects["unit"]).first().dropna().to_dict()
    names = sorted(set(split.part.values()))
    sizes = np.asarray(
        [sum(part == name for part in split.part.values()) for name in names], dtype=float
    )
    edges = np.cumsum(sizes / sizes.sum())

    def falls(unit: str) -> str:
        at = int(np.searchsorted(edges, int(_shuffled(unit)[:8], 16) / 16**8))
        return names[min(at, len(names) - 1)]

    return {
        subject: beside.get(unit) or falls(unit)
        for subject, unit in zip(new.index, new["unit"], strict=True)
    }


def _shuffled(unit: str) -> str:
    return hashlib.sha256(f"split\x1f{unit}".encode()).hexdigest()


def validation_subjects(cases: pd.DataFrame, share: float, fold: str) -> set[str]:
    """Subjects of a training part that are held back for early stopping: a stratified share of
    them, drawn by their keys and the fold's name, so that no two folds share their luck.

    Args:
        cases: Of the training part, as of `read_or_make_split`.
        fold: The part of the split that is held out.
    """
    subjects = _by_subject(cases)
    counts = _counts(subjects)
    numbers, units = counts.to_numpy(float), list(counts.index)
    total = numbers.sum(axis=0)
    due = np.maximum(1, np.round(share * total))
    have, held_back = np.zeros(len(total)), []
    order = sorted(range(len(units)), key=lambda row: _shuffled(f"valid\x1f{fold}\x1f{units[row]}"))
    for row in order:
        worse = (numbers[row] ** 2 + 2 * numbers[row] * (have - due)) / np.maximum(total, 1) ** 2
        if worse.sum() < 0:
            have += numbers[row]
            held_back.append(row)
    for column in np.flatnonzero(have == 0):  # too large a unit is better than none
        others = [row for row in order if numbers[row, column] and row not in held_back]
        if len(others) > 1:
            smallest = min(others, key=lambda row: numbers[row].sum())
            have += numbers[smallest]
            held_back.append(smallest)
    return set(subjects.index[subjects["unit"].isin([units[row] for row in held_back])])


def inner_folds(cases: pd.DataFrame, folds: int, fold: str) -> pd.Series:
    """Fold of each case inside a training part, from 0: stratified by subject, drawn by the
    subjects' keys and the outer fold's name.

    Args:
        cases: Of the training part, labelled, as of `read_or_make_split`.
        fold: The part of the split that is held out.
    """
    names = {str(number): 1 / folds for number in range(folds)}
    part = _parts(_by_subject(cases), names, f"inner\x1f{fold}\x1f")
    return split_units(cases).map(part).astype(int)
