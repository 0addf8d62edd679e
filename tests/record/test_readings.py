"""A reader's own estimate: what it may be, who may give it, and that it is in the audit."""

import json

import pytest
from published_example import BUNDLE, NAME, publish
from sqlalchemy import select

from mmdiag.errors import UsageError
from mmdiag.record.readings import estimates_of, record_reading
from mmdiag.storage.ledger import Ledger
from mmdiag.storage.record_tables import AUDIT
from mmdiag.task import Task


def test_an_estimate_is_kept_with_the_answer_that_it_was_given_before(tmp_path):
    example = publish(tmp_path / "w", cases=4)
    ledger = Ledger(example.workspace.ledger_url)
    record_reading(ledger, NAME, "C-0001", (BUNDLE, "v1"), "likely", "x", role="reviewer")
    with pytest.raises(UsageError, match="reviewer or more"):
        record_reading(ledger, NAME, "C-0002", (BUNDLE, "v1"), "likely", "x", role="reader")
    query = select(AUDIT.c.by, AUDIT.c.payload).where(AUDIT.c.kind == "reading")
    rows = ledger.rows(query, AUDIT)
    said = {
        name: json.loads(rows[0]["payload"])[name] for name in ("case_id", "estimate", "version")
    }
    assert len(rows) == 1 and rows[0]["by"] == "x"
    assert said == {"case_id": "C-0001", "estimate": "likely", "version": "v1"}


@pytest.mark.parametrize(
    ("task", "first", "number"),
    [
        (Task(kind="binary", label="y", classes=("0", "1")), "very unlikely", 5),
        (Task(kind="survival"), "very unlikely", 5),
        (
            Task(kind="multiclass", label="g", classes=("a", "b"), class_names={"a": "low"}),
            "low",
            2,
        ),
        (Task(kind="multilabel", labels=("oedema", "mass")), "oedema", 3),
    ],
)
def test_what_may_be_estimated_is_the_outcome_or_a_class(task, first, number):
    found = estimates_of(task)
    assert found[0] == first and len(found) == number == len(set(found))
