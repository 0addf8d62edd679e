"""The columns of predictions.parquet, and what of a prediction the ledger keeps beside them."""

import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from mmdiag.evaluation.verdict import PATTERN
from mmdiag.inference.pending import Versions
from mmdiag.storage.ledger import Ledger
from mmdiag.storage.tables import write_parquet

ATYPICAL = "atypical_"  # and the modality: the column of its p-value
BECAUSE = "abstained_because"  # not known of what a version before 0.2 answered
AGREEMENT = "agreement"  # how far all that speaks in a case points the same way, 0 to 1
SUM = ("base", "logit")  # the first, and the contributions, add up to the second


def prediction_columns(table: pd.DataFrame) -> list[str]:
    """The columns of predictions.parquet, in the order of docs/interface.md 4."""
    answers = [c for c in table.columns if c == "probability" or c.startswith("probability_")]
    contributions = [c for c in table.columns if c.startswith("contribution_")]
    return [
        "case_id",
        "subject_id",
        "as_of",
        "bundle_id",
        "role",
        "predicted",
        *answers,
        "modalities",
        *contributions,
        *(name for name in SUM if name in table),
        "abstained",
        *(c for c in table.columns if c in (BECAUSE, AGREEMENT) or c.startswith(ATYPICAL)),
        "scored_at",
    ]


def recorded_columns(table: pd.DataFrame) -> pd.DataFrame:
    """What the ledger keeps of predictions: the columns of predictions.parquet, `version`, the
    weights, how the modalities act together, and the attention with what attends.
    """
    weights = [c for c in table.columns if c.startswith("weight_")]
    found = table[[*prediction_columns(table), "version", *weights]]
    if "attention" not in table:
        return found
    names = named_modalities(table)
    if "interaction" in table:
        rows = [
            interaction_of(text, names, present)
            for text, present in zip(table["interaction"], table["modalities"], strict=True)
        ]
        found = found.assign(interaction=pd.Series(rows, index=found.index, dtype=object))
    facts = [table.get(f"attention_{name}", [None] * len(table)) for name in ("member", "weight")]
    rows = [
        None
        if not isinstance(text, str)
        else {"member": member, "weight": weight, "modalities": names, "matrix": json.loads(text)}
        for text, member, weight in zip(table["attention"], *facts, strict=True)
    ]
    return found.assign(attention=pd.Series(rows, index=found.index, dtype=object))


def named_modalities(table: pd.DataFrame) -> list[str]:
    """The modalities of the model, in the order of its matrices."""
    parts = [str(c) for c in table.columns if str(c).startswith("contribution_")]
    return [c.removeprefix("contribution_") for c in parts]


def interaction_of(
    text: str | None, names: Sequence[str], present: Collection[str]
) -> dict[str, Any] | None:
    """How the modalities that a case has act together, in the form of `explain --json`.

    Args:
        text: The matrix over all modalities of the model, as JSON; None = not known.
        names: Of its rows.
    """
    if not isinstance(text, str):
        return None
    there = [k for k, name in enumerate(names) if name in present]
    whole = json.loads(text)
    matrix = [[whole[i][j] for j in there] for i in there]
    return {"modalities": [names[k] for k in there], "matrix": matrix}


def with_abstentions(table: pd.DataFrame, met: Sequence[bool]) -> pd.DataFrame:
    """Whether a model abstains from each case, and why: no training case had just its modalities,
    or it is unlike them.

    Args:
        table: What `diagnose` gave.
        met: Whether training cases had the modalities of each case.
    """
    unlike = table["unlike"] if "unlike" in table else pd.Series([""] * len(table), table.index)
    because = [
        found if known else PATTERN for known, found in zip(met, unlike.fillna(""), strict=True)
    ]
    told = table.drop(columns="unlike", errors="ignore").rename(columns={"log_odds": "logit"})
    return told.assign(abstained=[bool(reason) for reason in because], abstained_because=because)


def write_scored(
    ledger: Ledger, bundle_id: str, cohort: str, versions: Versions, out: Path
) -> pd.DataFrame:
    """Write what a bundle has said of the cases of a cohort as they are now; returns it."""
    table = ledger.predictions(bundle_id=bundle_id, cohort=cohort)
    current = pd.DataFrame(versions, columns=["case_id", "version"])
    table = current.merge(table, on=["case_id", "version"], how="inner")
    write_parquet(out, table[prediction_columns(table)])
    return table
