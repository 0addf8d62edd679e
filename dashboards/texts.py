"""Sentences of the pages: values in, words out; nothing is drawn here."""

import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from mmdiag.evaluation.verdict import BASE as BASE
from mmdiag.evaluation.verdict import LOG_ODDS, ROLES, UNLIKE, percent
from mmdiag.evaluation.verdict import THIS_CASE as THIS_CASE
from mmdiag.explain.drawn import signed
from mmdiag.explain.parts import Part
from mmdiag.explain.report.checked import UNCHECKED

OUTCOME, AXIS = 40, 60  # characters of an outcome, and of a line, under an axis of half a page
SHORT_ROLES = {
    "train": "in the training set",
    "new": "not in training",
    "test": "held-out test",
    "out-of-fold": "cross-validated",
}
VERDICTS = {"agree": "agreed", "override": "overridden", "flag": "flagged"}
RECOMPUTE = "`mmdiag evaluate --cohort cohort.toml`"
HOW_TO_CHECK = (
    f"{UNCHECKED}: `mmdiag explain --checks` asks, and so does `mmdiag run --explain full`."
)


def thin(number: float) -> str:
    """A count with thin spaces."""
    return f"{int(number):,}".replace(",", "\u2009")


def cases(number: float, kind: str = "") -> str:
    """`1 case`, `40 new cases`."""
    return f"{thin(number)} {kind}{' ' if kind else ''}case{'s' * (number != 1)}"


def ordinal(number: float) -> str:
    """97 -> 97th."""
    whole = round(number)
    ending = (
        {1: "st", 2: "nd", 3: "rd"}.get(whole % 10, "th")
        if whole % 100 not in (11, 12, 13)
        else "th"
    )
    return f"{whole}{ending}"


def display_names(modalities: Sequence[str], title: Callable[[str], str]) -> dict[str, str]:
    """Modality -> how people read it; two that read alike carry their names, too."""
    titles = [title(name) for name in modalities]
    return {
        name: text if titles.count(text) == 1 else f"{text} ({name})"
        for name, text in zip(modalities, titles, strict=True)
    }


def received(counts: Mapping[str, int]) -> str:
    """`40 cases received: 39 accepted, 1 quarantined`."""
    return (
        f"{cases(counts['in'])} received: {thin(counts['accepted'])} accepted, "
        f"{thin(counts['quarantined'])} quarantined"
    )


def rules(checked: int, failing: int) -> str:
    """How many rules of data contracts were checked, and how many failed."""
    rules = f"{thin(checked)} rule{'s' * (checked != 1)}"
    return f"{rules} checked, {thin(failing)} failed for at least one row"


def role(name: str) -> str:
    """A prediction's role as Markdown: a case of the training set is marked."""
    return f":orange[{ROLES[name]}]" if name == "train" else ROLES[name]


def reviewed(verdict: str, at: str, by: str) -> str:
    """`agreed, 2026-11-28, by X`; empty where nobody said anything."""
    return f"{VERDICTS.get(verdict, verdict)}, {at[:10]}, by {by}" if verdict else ""


def no_answer(because: str, names: Mapping[str, str]) -> str:
    """Why there is no answer, in a few words: `none: unlike the training in FLAIR`.

    Args:
        because: As predictions.parquet has it.
        names: Modality -> how people read it.
    """
    if not because.startswith(UNLIKE):
        return "none: modalities not met in training"
    parts = because.removeprefix(UNLIKE).split("+")
    return f"none: unlike the training in {', '.join(names.get(part, part) for part in parts)}"


def rank(probability: float, others: Sequence[float]) -> str:
    """Where a probability stands: `Higher than 55 % of the cases outside training (30 of 55)`."""
    below = sum(other < probability for other in others)
    share = 100 * below / len(others)
    return f"Higher than {share:.0f} % of the cases outside training ({below} of {len(others)})"


def contributions(outcome: str, scale: str = LOG_ODDS) -> str:
    """Title over the bars of the modalities."""
    return f"Contribution of each modality to the prediction of {outcome} (Shapley, {scale})"


LEAST_SHOWN = 0.005  # log-odds: what is less reads as nothing


def log_odds(value: float, *, share: bool) -> str:
    """A place on the axis of log-odds, or the share that it stands for."""
    return percent((1 + math.tanh(value / 2)) / 2) if share else signed(value)


ATTENTION = "Cross-modality attention (rows sum to 1)"
WHOLE = 0.999  # of a model's weight: it is one network
AMONG = "Among the other cases: a diamond is this case, a bar 10 to 90% of an outcome's"
IMPORTANCE = "Modality importance: mean absolute Shapley value, over cases that have the modality"
PATHWAYS = "Most influential pathways"
GENES = "Most influential genes, with cohort percentile"
COLUMNS = "Most influential columns, with cohort percentile"


def interactions(scale: str = LOG_ODDS) -> str:
    """Title over the matrix of interactions."""
    return f"How modalities act together ({scale}; each row sums to its contribution)"


def both_ends(outcome: str, scale: str = LOG_ODDS) -> list[str]:
    """Title of a signed axis: what each end does to the outcome."""
    lowers, raises = ends(outcome)
    lowers, raises = f"← {lowers} ({scale})", f"{raises} →"
    both = f"{lowers} · {raises}"
    return [both] if len(both) <= AXIS else [lowers, raises]


def ends(outcome: str) -> tuple[str, str]:
    """What the low and the high end of a signed scale do to the outcome."""
    short = textwrap.shorten(outcome, OUTCOME, placeholder="…")
    return f"lowers {short}", f"raises {short}"


def heat(outcome: str, of: str, parts: Sequence[Part], scale: str = LOG_ODDS) -> str:
    """What the colours over an image or a signal mean, and how much full colour is."""
    largest = max((abs(part["value"]) for part in parts), default=0.0)
    return (
        f"Orange: supports {outcome}; blue: opposes {outcome}. Full colour is "
        f"{signed(largest).lstrip('+')} {scale}, the largest effect in this {of}."
    )


def vectors(number: int, width: int, made: Mapping[str, str]) -> str:
    """What an embedding is, in a line.

    Args:
        made: Encoder, revision and licence of what made it; empty where that is not known.
    """
    what = "1 vector" if number == 1 else f"{number} vectors"
    maker = f", made by {made['encoder']} {made['revision']} ({made['licence']})" if made else ""
    return f"{what} of {width} numbers{maker}. An embedding has no picture."


def words(outcome: str, *, sentences: bool = False) -> str:
    """What the shades of a note mean.

    Args:
        sentences: Whether its parts are whole sentences.
    """
    each = "Each word has its share of what its terms and its sentence add"
    each = "Each sentence has what it adds as a whole" if sentences else each
    return (
        f"Orange, underlined: supports {outcome}; blue, dotted: opposes {outcome}. {each}; less "
        "than a tenth of the largest has no shade; ¬ stands before words of a negated sentence."
    )


def changed(change: float, contribution: float | None, scale: str = LOG_ODDS) -> str:
    """By how much an answer moves, and why that is not the bar of what was taken away.

    Args:
        change: On the scale of the contributions.
        contribution: Of the one modality that was taken away; None where something else was.
    """
    said = f"The answer moves by {change:+.2f} {scale}."
    if contribution is None or abs(change + contribution) < 0.005:
        return said
    return (
        f"{said} The bar is {contribution:+.2f}: the mean over all orders in which modalities "
        "become known; this is what is lost where the others are known already, and where the case "
        "counts among those that lack it."
    )


def of_another(before: str, now: str) -> str:
    """That what moved an answer cannot be read off two that are of different classes.

    Args:
        before, now: What the contributions of each are contributions to.
    """
    return (
        f"The contributions as the case is are to {before}, those then to {now}: the two lie on "
        "different axes."
    )


def attention(share: float | None) -> str:
    """Title over the matrix of attention.

    Args:
        share: Of the network that attends in what the members of a model weigh; None = not known.
    """
    if share is None or share >= WHOLE:
        return ATTENTION
    return f"{ATTENTION}, of networks that are {percent(share)} of the model by weight"


def disagreement(
    weights: Mapping[str, float], values: Mapping[str, float], share: float | None = None
) -> str:
    """A sentence where the weights and the contributions name different modalities; else empty.

    Args:
        weights, values: Of each modality that the case has.
        share: As in `attention`: the weights of several members are no attention.
    """
    contributes = max(values, key=lambda name: abs(values[name]))
    weighed = max(weights, key=lambda name: weights[name])
    if contributes == weighed or abs(values[contributes]) < LEAST_SHOWN:
        return ""
    what = "attention weight" if share is None or share >= WHOLE else "weight"
    return (
        f"The {what} of {weighed} is the largest, yet {contributes} contributes most: "
        "weights are not contributions."
    )


def listed(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Columns or groups, each with its `text`: name, and percentile where it is known."""
    kept = pd.DataFrame(list(rows))
    share = kept["percentile"] if "percentile" in kept else pd.Series(np.nan, index=kept.index)
    text = [
        f"{name} · {ordinal(percentile)} percentile" if pd.notna(percentile) else str(name)
        for name, percentile in zip(kept["name"], share, strict=True)
    ]
    return kept.assign(text=text)


def calibration(error: float | None) -> str:
    """Title over the calibration."""
    off = f" by {error:.2f} on average" if error is not None else ""
    return f"Calibration: predicted and observed shares differ{off}"


ABSTAINED = (
    "What follows are contributions to an answer that the model does not give: nothing to act on."
)


def masked(rows: Sequence[Mapping[str, Any]]) -> str:
    """How many identifiers were masked in which notes; empty where none were."""
    return "".join(
        f" {thin(row['masked'])} identifier{'s were' if row['masked'] != 1 else ' was'} masked in "
        f"{row['modality']}."
        for row in rows
        if row.get("masked")
    )
