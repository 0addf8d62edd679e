"""What the answer would be were the case another: without a modality, with another note, with
other values. Nothing of it is written.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from mmdiag.errors import ReadError, UsageError
from mmdiag.explain.parts import CaseParts
from mmdiag.explain.within.case import explain_within
from mmdiag.inference import score as inference
from mmdiag.inference.bundle import Bundle
from mmdiag.kinds import NOTE, kind_named
from mmdiag.prepare import extractor
from mmdiag.prepare.batches import prepare_samples
from mmdiag.sandbox.functions import SECONDS_A_NOTE
from mmdiag.sandbox.pool import shared_sandbox
from mmdiag.storage.store import Store

MEDIAN = "median"
ZERO = ("0", "0.0")


@dataclass(frozen=True, slots=True)
class Change:
    """How a case would be another.

    Args:
        without: Modalities that it would lack.
        notes: Modality -> the text that would be its note; read as ingestion reads one.
        values: Column of a table -> its value, or `median`: that of the cohort. A category such as
            `sex=M` is set by 1, which takes the others of its column away; `median` is the one that
            most cases have.
    """

    without: Sequence[str] = ()
    notes: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.without or self.notes or self.values)

    def facts(self) -> dict[str, Any]:
        """What is said of it; of a note that there is another one."""
        return {
            "without": list(self.without),
            "notes": list(self.notes),
            "values": dict(self.values),
        }


@dataclass(frozen=True, slots=True, eq=False)
class ChangedStore(Store):
    """A cohort of which one case has another note or other values.

    Args:
        row: The case.
        texts: Modality -> its note.
        tables: Table -> all rows.
    """

    row: int = -1
    texts: Mapping[str, str] = field(default_factory=dict)
    tables: Mapping[str, Float32[ndarray, "case column"]] = field(default_factory=dict)

    def text(self, modality: str, row: int) -> str:
        """The note of one case."""
        if row == self.row and modality in self.texts:
            return self.texts[modality]
        return Store.text(self, modality, row)

    def table(self, modality: str) -> Float32[ndarray, "case column"]:
        """All rows of a table."""
        if modality in self.tables:
            return self.tables[modality]
        return Store.table(self, modality)


def what_if(
    bundle: Bundle, store: Store, row: int, change: Change, key: bytes | None
) -> tuple[dict[str, Any], CaseParts]:
    """The row of predictions of the changed case, and its explanation.

    Args:
        row: The case's row in `store.cases`.
        key: Of the workspace, which tells whether the case was in training.

    Raises:
        UsageError: The case has no such modality or column, or would have nothing left.
    """
    changed = _changed(store, row, change, bundle.kinds)
    aligned = inference.by_bundle_columns(bundle, changed)
    raws = inference.features_of(bundle, store, aligned, rows=[row])
    for name, text in changed.texts.items():
        extract = extractor("text", bundle.config)
        raws[name][row] = extract.finished(text, extract([text])[0])
    for name in change.without:
        raws[name][row] = None
    sample = prepare_samples(bundle.preparations, raws, [row])[0]
    if not sample:
        raise UsageError(
            "A case that is answered has a modality, without "
            f"{', '.join(change.without)} this one has none: leave one in."
        )
    table = inference.score_rows(bundle, changed, raws, [row], key)
    facts = {str(name): value for name, value in table.iloc[0].items()}
    return facts | {"modalities": list(sample)}, explain_within(bundle, changed, row, sample)


def _changed(store: Store, row: int, change: Change, kinds: Mapping[str, str]) -> ChangedStore:
    """The cohort with the changed case.

    Args:
        kinds: The modalities that the model knows.
    """
    for name in (*change.without, *change.notes):
        having = [n for n in kinds if store.present(n)[row]]
        if name not in having:
            raise UsageError(
                f"What is changed is a modality that the case has, {name!r} is none: name one of "
                f"{', '.join(having)}."
            )
    for name in change.notes:
        if kind_named(store.modalities[name]).layout != NOTE:
            raise UsageError(f"Another note is given for a modality of notes, {name!r} is none.")
        if name in change.without:
            raise UsageError(
                f"A case lacks a modality or has another note of it, {name} is given by both "
                "--without and --note: leave one out."
            )
    texts = {name: _as_stored(text, name) for name, text in change.notes.items()}
    own = {item.name: getattr(store, item.name) for item in fields(Store)}
    tables = _tables(store, row, change, kinds)
    without = {f"has_{name}": False for name in change.without}
    cases = own["cases"]
    if without:
        cases = cases.copy()
        for column, value in without.items():
            cases.iloc[row, cases.columns.get_loc(column)] = value
    return ChangedStore(**{**own, "cases": cases}, row=row, texts=texts, tables=tables)


def _as_stored(text: str, name: str) -> str:
    """A note as ingestion stores one: clean, and masked of what has the form of an identifier. What
    a header or the case table alone says of the person is not known here.
    """
    answer = shared_sandbox().submit(
        "note_text",
        seconds=SECONDS_A_NOTE,
        text=text,
        name=f"the note of {name}",
        subject_terms=[],
    )
    try:
        found, _ = answer.result().value()
    except ReadError as refusal:
        raise UsageError(
            f"Another note is one that ingestion would accept, this one is refused ({refusal}): "
            "give plain text."
        ) from None
    if found is None:
        raise UsageError(
            f"Another note says something, that of {name} is blank: a case that has none is asked "
            f"for by --without {name}."
        )
    return str(found["text"])


def _tables(
    store: Store, row: int, change: Change, kinds: Mapping[str, str]
) -> dict[str, Float32[ndarray, "_ _"]]:
    there = [name for name in kinds if name not in change.without]
    having = [name for name in there if store.columns(name) and store.present(name)[row]]
    found: dict[str, ndarray] = {}
    # what a case is no longer comes after what it is: `sex=F=0` beside `sex=M=1`
    for column, text in sorted(change.values.items(), key=lambda one: one[1] in ZERO):
        places = [name for name in having if column in store.columns(name)]
        if len(places) != 1:
            where = f"in {' and '.join(places)}" if places else "in no table of the case"
            raise UsageError(
                f"A value is set of a column that one table of the case has, {column!r} is {where}."
            )
        name = places[0]
        table = found.setdefault(name, store.table(name).copy())
        columns = store.columns(name)
        place, words = columns.index(column), store.categories(name)
        group = next((members for members in words.values() if column in members), None)
        if group is None:
            table[row, place] = _value(column, text, table[:, place])
            continue
        if text != MEDIAN and sum(change.values.get(one, "0") not in ZERO for one in group) > 1:
            raise UsageError(
                f"A case has one category of a column, several are set beside {column!r}: set one."
            )
        own = [columns.index(one) for one in group]
        table[row, own] = _category(column, text, table[:, own], row, group.index(column))
    return found


def _category(
    column: str, text: str, values: Float32[ndarray, "case category"], row: int, own: int
) -> Float32[ndarray, "category"]:
    """A column of words of one case: which of its categories it would be, as 0 and 1.

    Args:
        column: Of the category that is named.
        values: Of the categories of its column of words.
        own: Which of them that is.
    """
    found = np.zeros(values.shape[1], np.float32)
    if text == MEDIAN:
        counts = np.nansum(values, axis=0)
        found[int(counts.argmax())] = 1
        return found if counts.any() else np.full_like(found, np.nan)
    value = _value(column, text, values[:, own])
    if value == 1:
        found[own] = 1
        return found
    if value == 0 and values[row, own] == 0:
        return np.asarray(values[row])
    raise UsageError(
        f"A category is changed by setting another one to 1, {column!r} is set to {text}: write "
        f"--set {column.partition('=')[0]}=CATEGORY=1."
    )


def _value(column: str, text: str, values: Float32[ndarray, "case"]) -> float:
    if text == MEDIAN:
        return float(np.nanmedian(values)) if np.isfinite(values).any() else float("nan")
    try:
        value = float(text)
    except ValueError:
        value = float("inf")
    if not np.isfinite(value):
        raise UsageError(
            f"A value is a number or `median`, found {text!r} for {column!r}: write --set "
            f"{column}=1.5 or --set {column}=median."
        ) from None
    return value
