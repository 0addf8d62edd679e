"""The report on a cohort's contracts: one HTML page with every rule, how many rows broke it, and
the case keys in quarantine. It shows no cell of any table.

Great Expectations' own pages (Data Docs) are never made: they print cell values, and print them
unescaped.
"""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from mmdiag.reasons import REASONS

if TYPE_CHECKING:
    import pandas as pd

    from mmdiag.storage.ledger import Ledger

RULE_COLUMNS = ("contract", "column", "rule", "severity", "why", "checked", "failed", "cure")
QUARANTINE_COLUMNS = (
    "case_id",
    "modality",
    "code",
    "rule",
    "detail",
    "cure",
    "first_seen",
    "last_seen",
)
ORDER = ("block", "quarantine", "warn")
CURE_OF_RULE = {reason.rule: reason.cure for reason in REASONS.values()}
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 90rem; padding: 0 1rem;
  color: #1a1a1a; background: #fff; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; }
caption { text-align: left; color: #555; padding-bottom: .4rem; }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem; border-bottom: 1px solid #ddd;
  overflow-wrap: break-word; }
th { border-bottom: 2px solid #888; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
tr.broken td:first-child { border-left: 4px solid #b3261e; }
tr.warned td:first-child { border-left: 4px solid #b26a00; }
tr.held td:first-child { border-left: 4px solid transparent; }
"""


def report(ledger: "Ledger", cohort: str) -> str:
    """A page that stands alone: no script, nothing fetched, every text escaped.

    Args:
        cohort: Name of an ingested cohort.

    Returns:
        HTML; broken rules come first, then those that held.
    """
    rules = rules_of(ledger, cohort)
    refused = _rows(ledger.quarantine(cohort).sort_values(["case_id", "modality", "code"]))
    broken = [rule for rule in rules if rule["failed"]]
    evaluated = max((str(rule["judged_at"]) for rule in rules), default="never")
    keys = len({row["case_id"] for row in refused})
    summary = (
        f"{len(rules)} rules were checked, {len(broken)} are broken by some row; {keys} "
        f"{'case is' if keys == 1 else 'cases are'} in quarantine, "
        f"whole or in part. Evaluated {evaluated}. For research use only: not a medical device."
    )
    parts = [
        f"<h1>Data contracts of {escape(cohort)}</h1>",
        f"<p>{escape(summary)}</p>",
        "<h2>Rules</h2>",
        _table(
            RULE_COLUMNS,
            rules,
            "Rows were counted over all shards; a rule on a whole table counts as one row.",
            _standing,
        ),
        "<h2>Quarantine</h2>",
        _table(
            QUARANTINE_COLUMNS,
            ({**row, "modality": row["modality"] or "whole case"} for row in refused),
            "One row a case and modality.",
            lambda _: "broken",
        )
        if refused
        else "<p>Nothing is in quarantine.</p>",
    ]
    head = (
        '<meta charset="utf-8"><title>Data contracts of '
        f"{escape(cohort)}</title><style>{STYLE}</style>"
    )
    return (
        f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n'
        + "\n".join(parts)
        + "\n</body></html>\n"
    )


def rules_of(ledger: "Ledger", cohort: str | None = None) -> list[dict[str, Any]]:
    """How the rules fared, the broken ones first and the severest among them.

    Returns:
        cohort, contract, rule, column, severity, why, checked, failed, judged_at, and cure: what to
            do where the rule is broken.
    """
    rows = _rows(ledger.contracts(cohort))
    for row in rows:
        row["cure"] = (
            CURE_OF_RULE.get(str(row["rule"]), REASONS["contract"].cure) if row["failed"] else ""
        )
    return sorted(rows, key=_place)


def _place(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """Broken rules first, the severest among them; that a column is there, last."""
    standing = (not row["failed"], row["rule"] == "column to exist", ORDER.index(row["severity"]))
    return (*standing, row["cohort"], row["contract"], row["column"], row["rule"])


def _rows(table: "pd.DataFrame") -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def _standing(row: Mapping[str, Any]) -> str:
    if not row["failed"]:
        return "held"
    return "warned" if row["severity"] == "warn" else "broken"


def _table(
    columns: Sequence[str], rows: Iterable[Mapping[str, Any]], caption: str, standing: Any
) -> str:
    head = "".join(f'<th scope="col">{escape(name.replace("_", " "))}</th>' for name in columns)
    body = "\n".join(
        f'<tr class="{standing(row)}">{"".join(_cell(row[name]) for name in columns)}</tr>'
        for row in rows
    )
    return (
        f"<table><caption>{escape(caption)}</caption>\n<thead><tr>{head}</tr></thead>\n"
        f"<tbody>\n{body}\n</tbody></table>"
    )


def _cell(value: Any) -> str:
    text = "" if value is None else str(value)
    return (
        f'<td class="number">{escape(text)}</td>'
        if isinstance(value, int)
        else f"<td>{escape(text)}</td>"
    )
