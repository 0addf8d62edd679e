"""A row of the worklist as HTML of our own: every text of others is escaped, and no class is made
of data.
"""

import html
import json
import math
from collections.abc import Collection, Mapping
from typing import Any

import pandas as pd

from dashboards import texts
from dashboards.charts.style import MODALITY_COLOURS, NEUTRAL, REFUSED
from dashboards.notes import visible
from mmdiag.evaluation.verdict import percent, why_abstained
from mmdiag.task import Task

Row = Mapping[str, Any]
SPARE = NEUTRAL  # of a modality beyond those that have a colour
STYLE = """<style>
.mmrow{display:grid;align-items:center;column-gap:.9rem;font-size:.9rem;line-height:1.35}
.mmrow>div{overflow:hidden;text-overflow:ellipsis;white-space:nowrap;unicode-bidi:isolate}
.mmhead{font-size:.8rem;color:#767B83}
.mmanswer{display:grid;grid-template-columns:minmax(3.2rem,auto) minmax(3rem,1fr);
column-gap:.6rem;align-items:center}
.mmanswer span{overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.mmbar{height:.55rem;border-radius:.3rem;background:rgba(138,144,153,.25);overflow:hidden}
.mmbar i{display:block;height:100%;background:#0072B2}
.mmsilent{color:#767B83;font-style:italic;display:block;white-space:normal;font-size:.82rem;
line-height:1.15}
.mmdot{display:inline-block;width:.72rem;height:.72rem;border-radius:50%;margin-right:.3rem;
vertical-align:middle;box-sizing:border-box;border:1.5px solid transparent}
.mmgone{border:1.5px dashed #8A9099}
.mmcross{font-weight:700;margin-right:.3rem;color:""" + REFUSED + """}
</style>"""  # fmt: skip
HIDDEN = '<span class="mmsilent">after your own reading</span>'
OLDER = '<span class="mmsilent">given before this case changed</span>'
HEADINGS = ("site", "as of", "answer", "modalities", "in training?", "reviewed")


def heading(number: int) -> str:
    """The line over the rows.

    Args:
        number: Of modalities.
    """
    cells = "".join(f"<div>{text}</div>" for text in HEADINGS)
    return f'{STYLE}<div class="mmrow mmhead" style="{_columns(number)}">{cells}</div>'


def _columns(number: int) -> str:
    """Widths of the columns: every dot has its place."""
    dots = max(1.05 * number, 5.2)
    return (
        f"grid-template-columns:minmax(2.4rem,.8fr) 5.6rem minmax(9rem,2.2fr) {dots:.2f}rem "
        "minmax(7rem,1fr) minmax(7rem,2fr)"
    )


def legend(names: Mapping[str, str]) -> str:
    """What each dot stands for."""
    dots = " &nbsp; ".join(
        f"{_present(place)}{html.escape(visible(text))}"
        for place, text in enumerate(names.values())
    )
    marks = (
        '<span class="mmdot mmgone"></span>not acquired &nbsp; '
        '<span class="mmcross">✕</span>quarantined'
    )
    return f'{STYLE}<div class="mmhead">{dots} &nbsp; {marks}</div>'


def row_of(
    row: Row,
    names: Mapping[str, str],
    task: Task,
    refused: Collection[tuple[str, str]],
    *,
    hidden: bool = False,
) -> str:
    """One case.

    Args:
        row: Of `dashboards.worklist.scored.Scored.table`.
        names: Modality -> how people read it.
        refused: (case_id, modality) of what is in quarantine.
        hidden: Whether the reader's own reading comes before the answer.
    """
    there = set(json.loads(row["modalities"]))
    day: str = f"{row['as_of']:%Y-%m-%d}" if pd.notna(row["as_of"]) else ""
    said, older = texts.reviewed(row["verdict"], row["at"], row["by"]), row.get("older", False)
    cells = [
        _text(row["site"]),
        _text(day),
        f"<div>{HIDDEN if hidden else answer(row, task, names)}{OLDER if older else ''}</div>",
        f"<div>{dots(row['case_id'], there, names, refused)}</div>",
        _text(texts.SHORT_ROLES.get(row["role"], row["role"])),
        _text(said or "not yet"),
    ]
    return f'<div class="mmrow" style="{_columns(len(names))}">{"".join(cells)}</div>'


def answer(row: Row, task: Task, names: Mapping[str, str]) -> str:
    """The answer with its bar; why there is none where the model abstained."""
    if row["abstained"]:
        why = why_abstained(
            {"abstained_because": row["because"]}, lambda name: names.get(name, name)
        )
        short = texts.no_answer(row["because"], names)
        return (
            f'<span class="mmsilent" title="{_attribute(why)}">{html.escape(visible(short))}</span>'
        )
    if not math.isfinite(row["share"]):
        return '<span class="mmsilent">an answer to another task</span>'
    share = min(max(float(row["share"]), 0.0), 1.0)
    bar = f'<div class="mmbar"><i style="width:{round(100 * share)}%"></i></div>'
    text = html.escape(visible(answer_text(row, task)))
    return f'<div class="mmanswer"><span>{text}</span>{bar}</div>'


def answer_text(row: Row, task: Task) -> str:
    """The answer in a word."""
    if task.survival and not task.horizon:
        return f"risk {row['share']:.2f}"
    if task.survival or task.kind == "binary":
        return percent(row["share"])
    if task.multilabel:  # several labels, and the share of one
        return f"{task.named(str(row['predicted']))}; the likeliest {percent(row['share'])}"
    return f"{task.name_of(str(row['predicted']))} {percent(row['share'])}"


def dots(
    case_id: str,
    there: Collection[str],
    names: Mapping[str, str],
    refused: Collection[tuple[str, str]],
) -> str:
    """A dot a modality: full, dashed where it was not acquired, a cross where it is in
    quarantine.
    """
    found = []
    for place, (name, title) in enumerate(names.items()):
        if name in there:
            found.append(_present(place, title))
        elif (case_id, name) in refused:
            text = _attribute(f"{title} quarantined")
            found.append(f'<span class="mmcross" title="{text}">✕</span>')
        else:
            text = _attribute(f"{title} not acquired")
            found.append(f'<span class="mmdot mmgone" title="{text}"></span>')
    return "".join(found)


def _present(place: int, title: str = "") -> str:
    colour = MODALITY_COLOURS[place] if place < len(MODALITY_COLOURS) else SPARE
    return f'<span class="mmdot" title="{_attribute(title)}" style="background:{colour}"></span>'


def _text(text: object) -> str:
    shown = str(text)
    return f'<div title="{_attribute(shown)}">{html.escape(visible(shown))}</div>'


def _attribute(text: str) -> str:
    return html.escape(visible(text), quote=True)
