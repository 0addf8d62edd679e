"""Draw what is known of one case, and how far explanations can be relied on."""

from typing import TYPE_CHECKING

from rich.table import Table

from mmdiag.cli.context import Answer
from mmdiag.cli.printed import RESEARCH, a_console, line, number, printable
from mmdiag.evaluation.verdict import LOG_ODDS, ROLES, is_abstained
from mmdiag.explain.report.checked import (
    UNCHECKED,
    checked_rows,
    checked_sentence,
    not_reliable,
)

if TYPE_CHECKING:
    from mmdiag.storage.store import Store


def show_explanation(answer: Answer, store: "Store") -> None:
    """One case: its answer, and the contribution of each modality."""
    line(
        f"Case {answer['case_id']} · {answer['answer']} · {ROLES[answer['role']]}, model "
        f"{answer['bundle_id']}"
    )
    if is_abstained(answer):
        line("What follows are contributions to an answer that the model does not give.")
    line(
        f"Contribution of each modality to the prediction of {answer['outcome']} (Shapley, "
        f"{answer.get('scale', LOG_ODDS)}): + raises it, - lowers it."
    )
    table = Table("modality", "contribution", "weight")
    refused = answer.get("quarantined") or {}
    taken = (answer.get("changed") or {}).get("without", ())
    for key in (key for key in answer if key.startswith("contribution_")):
        name = key.removeprefix("contribution_")
        present = name in (answer.get("modalities") or ())
        without = "quarantined" if name in refused else "not acquired"
        without = "taken away" if name in taken else without
        table.add_row(
            printable(store.title(name)),
            f"{answer[key]:+.2f}" if present else without,
            number(answer.get(f"weight_{name}")) if present else "",
        )
    a_console().print(table)
    for name, why in refused.items():
        line(f"{store.title(name)} quarantined ({why['code']}): {why['rule']} Cure: {why['cure']}")
    for facts in (answer.get("drawn") or {}).values():
        line(facts["sentence"])
    _more(answer, store)
    line(
        f"Regions, words and genes: mmdiag dashboard --workspace {answer['workspace']}, or --json."
    )
    line(RESEARCH)


def _more(answer: Answer, store: "Store") -> None:
    """What changed, which cases are alike, and how far all of it can be relied on."""
    if recorded := answer.get("recorded"):
        line(f"What if: {_moved(answer, recorded)}. Nothing was written.")
    for one in answer.get("similar", ()):
        known = one["label"] is not None
        came_out = f", outcome {store.task.name_of(one['label'])}" if known else ""
        came_out += ", of a later day" if one["later"] else ""
        line(
            f"Similar: {one['case_id']} ({one['similarity']:.2f}, most alike in "
            f"{store.title(one['alike_in'])}{came_out})"
        )
    checks = answer.get("checks") or {}
    if checks.get("reliable") is False:
        line(not_reliable(checks["reasons"]))
    elif "reliable" in checks and checks["reliable"] is None and not answer.get("changed"):
        line(f"{UNCHECKED}: explain --checks.")


def _moved(answer: Answer, recorded: Answer) -> str:
    """From where to where an answer moves; no figure of one that the model does not give."""
    if is_abstained(answer):
        return "the model gives no answer then"
    other = recorded["outcome"] != answer["outcome"]  # two axes, not a change along one
    now, before = (f" for {a['outcome']}" if other else "" for a in (answer, recorded))
    scale = answer.get("scale", LOG_ODDS)
    if is_abstained(recorded):
        return f"{answer['logit']:+.2f}{now} ({scale}) where no answer is on record"
    return (
        f"{answer['logit']:+.2f}{now} where {recorded['logit']:+.2f}{before} is on record ({scale})"
    )


def show_checks(answer: Answer) -> None:
    """How far the explanations of a model can be relied on."""
    table = Table("check", "found", "asked")
    for row in checked_rows(answer):
        table.add_row(*row)
    a_console().print(table)
    line(f"{answer['bundle_id']}: {checked_sentence(answer)}")
    line(RESEARCH)
