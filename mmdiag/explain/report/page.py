"""The page of one case: the answer with its doubt, what it is made of, what it is made by, and what
is missing.
"""

import html
from collections.abc import Mapping
from typing import Any

from mmdiag import __version__
from mmdiag.evaluation.verdict import LOG_ODDS, ROLES, THIS_CASE, is_abstained, question
from mmdiag.explain.drawn import influential, shaded_pieces
from mmdiag.explain.kept import heading_of
from mmdiag.explain.report.checked import not_reliable
from mmdiag.explain.report.drawings import bars, rows_of, shaded, slices, waterfall
from mmdiag.kinds import kind_named
from mmdiag.storage.store import Store

STYLE = """
body{font:15px/1.45 system-ui,sans-serif;max-width:820px;margin:2rem auto;padding:0 1rem;
color:#1d2126;background:#fff}h1{font-size:1.4rem;margin:.2rem 0}h2{font-size:1.1rem;
margin:1.6rem 0 .4rem}svg text{font:13px system-ui,sans-serif;fill:#1d2126}img{max-width:100%}
.note{white-space:pre-wrap;overflow-wrap:anywhere;border:1px solid #d5d9de;padding:.7rem;
border-radius:6px}.small{color:#5d646d;font-size:.86rem}table{border-collapse:collapse}
td,th{border-bottom:1px solid #d5d9de;padding:.25rem .7rem .25rem 0;text-align:left}
.warn{border-left:5px solid #D55E00;padding:.3rem .7rem}@media print{h2,svg,img{break-inside:avoid}}
"""
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
RESEARCH = "For research use only: not a medical device."
COLUMNS = 12  # of a table that are drawn


def page(facts: Mapping[str, Any], store: Store, row: int) -> str:
    """The whole page as HTML, which asks nobody for anything.

    Args:
        facts: What `mmdiag explain --json` says of the case.
        row: Its row in `store.cases`.
    """
    case = html.escape(str(facts["case_id"]))
    head = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f"<title>{case}</title><style>{STYLE}</style></head><body>"
    )
    parts = [
        head,
        f'<p class="small">{RESEARCH} mmdiag {__version__}</p>',
        f"<h1>{html.escape(str(facts['answer']))}</h1>",
        _of_case(facts),
        _doubt(facts),
        _contributions(facts, store),
        *(_modality(facts, store, row, name) for name in store.modalities),
        _similar(facts, store),
        _made_by(facts, store),
        "</body></html>",
    ]
    return "\n".join(part for part in parts if part)


def _of_case(facts: Mapping[str, Any]) -> str:
    date = str(facts.get("as_of") or "")[:10]
    said = [f"case {facts['case_id']}", date, ROLES.get(facts["role"], facts["role"])]
    return f"<p>{html.escape(' · '.join(part for part in said if part))}</p>"


def _doubt(facts: Mapping[str, Any]) -> str:
    """How sure the model is of it, and whether its explanations can be relied on."""
    said = []
    if is_abstained(facts):
        said.append("What follows are contributions to an answer that the model does not give.")
    agreement = facts.get("agreement")
    if isinstance(agreement, float) and agreement == agreement:
        said.append(
            f"Agreement of all that speaks in the case: {100 * agreement:.0f} % (100 % = all of it "
            "points the same way)."
        )
    checks = facts.get("checks") or {}
    if checks.get("reliable") is False:
        said.append(not_reliable(checks["reasons"]))
    if checks.get("reliable") is None:
        said.append("The explanations of this model were not checked.")
    return "".join(f'<p class="warn">{html.escape(one)}</p>' for one in said)


def _contributions(facts: Mapping[str, Any], store: Store) -> str:
    outcome, there = str(facts["outcome"]), facts["modalities"]
    rows = [(store.title(name), facts["contributions"][name]) for name in there]
    end = None if is_abstained(facts) else (THIS_CASE, float(facts["logit"]))
    drawing = waterfall(float(facts["base"]), rows, end)
    scale = str(facts.get("scale", LOG_ODDS)).capitalize()
    said = f"{scale} of {outcome}: orange raises, blue lowers."
    said += " Bars and ends add up." if end else ""
    return f'<h2>What the answer is made of</h2>{drawing}<p class="small">{html.escape(said)}</p>'


def _modality(facts: Mapping[str, Any], store: Store, row: int, name: str) -> str:
    title = f"<h2>{html.escape(store.title(name))}</h2>"
    if name not in facts["modalities"]:
        return f"{title}<p>{html.escape(_without(facts, store, row, name))}</p>"
    parts = facts["parts"].get(name, [])
    drawn_as = kind_named(store.modalities[name]).drawn_as
    if drawn_as == "image":
        stack = store.images(name, row)
        source, number = slices(stack, parts)
        body = f'<img alt="" src="{source}">'
        said = f"Slice {number} of {len(stack)} that the model reads, plain and under its map."
        body += f'<p class="small">{said}</p>'
    elif drawn_as == "text":
        note = store.text(name, row)
        body = f'<div class="note">{shaded(note, shaded_pieces(note, parts))}</div>'
    elif drawn_as == "table":
        body = bars([(_named(part), float(part["value"])) for part in influential(parts, COLUMNS)])
    else:
        body = bars([(_span(part), float(part["value"])) for part in parts])
    line = facts["drawn"].get(name, {}).get("sentence", "")
    return f'{title}{body}<p class="small">{html.escape(line)}</p>'


def _without(facts: Mapping[str, Any], store: Store, row: int, name: str) -> str:
    """Why the answer has nothing of a modality."""
    refused = (facts.get("quarantined") or {}).get(name)
    if refused is not None:
        why = f"Quarantined ({refused['code']}): {refused['rule']} Cure: {refused['cure']}"
        return f"{why} It contributes 0."
    if store.present(name)[row]:
        return "The model that answered does not read it."
    return "Not acquired: it contributes 0."


def _named(part: Mapping[str, Any]) -> str:
    share = part.get("percentile")
    return str(part["name"]) + (f" ({share:.0f} % below)" if share is not None else "")


def _span(part: Mapping[str, Any]) -> str:
    if "start_s" in part:
        return f"{part['start_s']:.2f} to {part['end_s']:.2f} s"
    return f"{part['start']} to {part['end']}"


def _similar(facts: Mapping[str, Any], store: Store) -> str:
    if not facts["similar"]:
        return ""
    named = store.task.name_of
    rows = [
        {
            **one,
            "outcome": named(one["label"]) if one["label"] is not None else "",
            "alike_in": store.title(one["alike_in"]),
        }
        for one in facts["similar"]
    ]
    table = rows_of(rows, ("case_id", "outcome", "similarity", "alike_in"))
    return f"<h2>{heading_of(rows)}</h2>{table}"


def _made_by(facts: Mapping[str, Any], store: Store) -> str:
    rows = [
        {"what": "model", "which": facts["bundle_id"]},
        {"what": "cohort", "which": f"{facts['cohort']} {store.hash}"},
        {"what": "answered", "which": facts.get("scored_at")},
        {"what": "question", "which": question(store.task)},
    ]
    return f"<h2>Made by</h2>{rows_of(rows, ('what', 'which'))}"
