"""The page and the command show every rule, counts and case keys, and nothing that a table or a
file name could smuggle in.
"""

import json
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mmdiag.contracts.contract import packaged_contract
from mmdiag.contracts.validate import as_table, validate

IMAGES = pd.DataFrame(
    {
        "case_id": ["a", "b"],
        "modality": ["x", "x"],
        "n_slices": [0, 4],
        "height": [64, 64],
        "width": [64, 64],
        "low": [0.0, 1.0],
        "high": [9.0, 8.0],
        "spacing_row_mm": [1.0, 0.5],
        "spacing_column_mm": [1.0, 0.5],
        "slice_gap_mm": [3.0, 1.0],
        "missing_slices": [0, 0],
        "tilt_degrees": [0.0, 0.2],
        "share_black": [0.2, 0.4],
    }
)
LABELS = pd.DataFrame(
    {
        "case_id": ["a", "b", "c"],
        "label": [1.0, np.nan, np.nan],
        "time": [1.0, 2.0, np.nan],
        "event": [0.0, 1.0, np.nan],
    }
)


class Page(HTMLParser):
    """What a page shows and what it names: (tag, attributes) and text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture
def workspace(tmp_path):
    """A workspace whose ledger holds a cohort with a broken rule, one with a hostile name, and a
    case in quarantine.
    """
    from mmdiag.reasons import REASONS
    from mmdiag.storage.ledger import Ledger

    ledger = Ledger(f"sqlite:///{tmp_path / 'w' / 'ledger.db'}")
    results = [
        *validate(IMAGES, packaged_contract("images")),
        *validate(LABELS, packaged_contract("labels")),
    ]
    ledger.record_cohort("k", "sha256:0", {"kind": "binary"}, {}, {"in": 3})
    ledger.record_contracts(
        "k",
        as_table(results).assign(
            column=lambda t: t["column"].replace("width", "<img src=x onerror=alert(1)>")
        ),
    )
    refused = {
        "case_id": "c<b>7</b>",
        "modality": "scan",
        "code": "same_image",
        "rule": REASONS["same_image"].rule,
        "detail": "the same pixels as case c9",
    }
    ledger.record_quarantine(
        "k", pd.DataFrame([refused | {"file_sha256": "", "cure": REASONS["same_image"].cure}])
    )
    return tmp_path / "w"


def run(*arguments):
    from mmdiag.cli import boundary, cli

    return boundary.run(cli, [str(argument) for argument in arguments])


def test_the_page_holds_every_rule_and_the_keys_in_quarantine_and_runs_nothing(
    workspace, tmp_path, capsys
):
    out = tmp_path / "report.html"
    assert run("contracts", "--workspace", workspace, "--cohort", "k", "--out", out) == 0
    page = Page(out.read_text())
    assert {tag for tag, _ in page.tags} == {
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "h1",
        "h2",
        "p",
        "table",
        "caption",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
    }
    assert {name for _, attrs in page.tags for name in attrs} <= {
        "lang",
        "charset",
        "class",
        "scope",
    } and "url(" not in out.read_text()
    text = " ".join(page.text)
    for rule in (*packaged_contract("images").rules, *packaged_contract("labels").rules):
        assert rule.why in text and rule.text in text
    assert (
        "c<b>7</b>" in text
        and "<img src=x onerror=alert(1)>" in text
        and "Find out whose it is" in text
    )
    assert "2 are broken by some row; 1 case is in quarantine" in text
    assert text.index("A label is the number") > text.index("More slices are several series"), (
        "what is broken stands first"
    )


def test_the_rules_are_listed_as_json_and_as_a_table(workspace, capsys):
    assert run("contracts", "--workspace", workspace, "--json") == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["severity"] for row in rows if row["failed"]] == ["quarantine", "warn"] and [
        row["failed"] for row in rows[:2]
    ] == [1, 1]
    assert set(rows[0]) == {
        "cohort",
        "contract",
        "rule",
        "column",
        "severity",
        "why",
        "checked",
        "failed",
        "judged_at",
        "cure",
    }
    assert rows[0]["cure"] and not rows[-1]["cure"]
    assert run("contracts", "--workspace", workspace) == 0
    shown = capsys.readouterr()
    assert "2 failed for at least one row" in " ".join((shown.out + shown.err).split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--cohort", "kk"), "did you mean 'k'"),
        (("--out", "r.html"), "A page is of one cohort, 2 are in"),
    ],
)
def test_a_cohort_that_is_not_there_is_wrong_use(workspace, capsys, arguments, message):
    from mmdiag.storage.ledger import Ledger

    Ledger(f"sqlite:///{workspace / 'ledger.db'}").record_cohort("other", "sha256:1", {}, {}, {})
    assert run("contracts", "--workspace", workspace, *arguments) == 2
    assert message in capsys.readouterr().err and not Path("r.html").exists()


def test_a_workspace_without_a_ledger_has_no_contracts_and_stays_without(tmp_path, capsys):
    assert run("contracts", "--workspace", tmp_path / "w", "--json") == 0
    assert json.loads(capsys.readouterr().out) == [] and not (tmp_path / "w").exists()
    assert run("contracts", "--workspace", tmp_path / "w", "--cohort", "k") == 2
    assert "must be ingested before" in capsys.readouterr().err
