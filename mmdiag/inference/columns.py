"""The columns of a table that is to be scored: they are the bundle's, by name."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32
from numpy import ndarray

from mmdiag.errors import UsageError
from mmdiag.prepare import Preparation
from mmdiag.readers.tables.categories import by_name
from mmdiag.spelling import fold
from mmdiag.storage.store import Store

SHOWN = 20  # columns named in one sentence


@dataclass(frozen=True, slots=True)
class Alignment:
    """A cohort's table under the columns of a bundle.

    Args:
        values: One row a case; NaN = not measured.
        missing: Columns of the bundle that the cohort lacks.
        left_out: Columns of the cohort that the bundle does not know.
        unseen: Column of words -> cases of a category that no training case had.
    """

    values: Float32[ndarray, "case column"]
    missing: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    unseen: Mapping[str, int] = field(default_factory=dict)

    def answer(self) -> dict[str, Any]:
        """What the answer of scoring shows; empty where the columns are the same."""
        facts = {
            "missing": list(self.missing),
            "left_out": list(self.left_out),
            "unseen_categories": dict(self.unseen),
        }
        found = {name: value for name, value in facts.items() if value}
        return found | ({"said": self.sentences()} if found else {})

    def written_otherwise(self) -> dict[str, str]:
        """Column of the cohort that is left out -> the one that is missing and differs from it by
        blanks, case or signs alone.
        """
        missing = {_letters(name): name for name in self.missing}
        alike = {name: missing.get(_letters(name), "") for name in self.left_out}
        return {name: there for name, there in alike.items() if there and name != there}

    def sentences(self) -> list[str]:
        """What people have to know."""
        said = []
        if self.missing:
            said.append(
                "columns that the bundle was trained on and nobody here has a number in, taken for "
                f"not measured: {_some(self.missing)}"
            )
        if self.left_out:
            said.append(f"columns that the bundle does not know, left out: {_some(self.left_out)}")
        if pairs := self.written_otherwise():
            shown = [f"{here.strip()} for {there}" for here, there in pairs.items()]
            said.append(
                "columns that may be the bundle's, written otherwise (call them as it does): "
                f"{_some(shown)}"
            )
        said += [
            f"{count} cases have a {word} that no training case had: taken for not measured"
            for word, count in self.unseen.items()
        ]
        return said


def align(store: Store, name: str, preparation: Preparation) -> Alignment:
    """A table of a cohort under the columns that were fitted, each found by its name.

    Raises:
        UsageError: The two have no column in common.
    """
    values, columns = store.table(name), store.columns(name)
    wanted, groups = list(preparation.columns), preparation.categories
    assert preparation.summary is not None
    learned = np.isfinite(preparation.summary.scale)  # from columns that vary in training
    if columns == wanted and not groups:
        return Alignment(values, _empty(values, wanted, learned))
    own = store.categories(name)
    missing, left_out = _differences(columns, own, wanted, groups)
    require_common(name, columns, wanted)
    found, unseen = by_name(values, columns, own, wanted, groups)
    empty = [column for column in _empty(found, wanted, learned) if column in columns]
    return Alignment(found, (*missing, *empty), left_out, unseen)


def _empty(
    values: Float32[ndarray, "case column"],
    columns: Sequence[str],
    learned: Bool[ndarray, " column"],
) -> tuple[str, ...]:
    """Columns that were learned from and that no case here has a value in."""
    lacking = np.isnan(values).all(axis=0) & learned
    return tuple(column for column, empty in zip(columns, lacking, strict=True) if empty)


def require_common(name: str, columns: Iterable[str], wanted: Sequence[str]) -> None:
    """A table of which nothing is known would be scored as if it were measured.

    Raises:
        UsageError: No column is one that the bundle was trained on.
    """
    if wanted and not set(columns) & set(wanted):
        raise UsageError(
            f"A table to score has columns that the bundle was trained on, {name} has none of its "
            f"{len(wanted)}: name its columns as those of the training table."
        )


def _differences(
    columns: Sequence[str],
    own: Mapping[str, Sequence[str]],
    wanted: Sequence[str],
    groups: Mapping[str, Sequence[str]],
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Columns that are missing, and that are left out; a column of words counts as one."""
    members = {name for part in (own, groups) for names in part.values() for name in names}
    members |= {name for name in wanted if name.partition("=")[0] in groups}
    here, there = set(columns), set(wanted)
    missing = [name for name in wanted if name not in here and name not in members]
    extra = [name for name in columns if name not in there and name not in members]
    return (
        (*missing, *(word for word in groups if word not in own)),
        (*extra, *(word for word in own if word not in groups)),
    )


def _letters(name: str) -> str:
    return re.sub(r"[\W_]+", "", fold(name)) or name


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
