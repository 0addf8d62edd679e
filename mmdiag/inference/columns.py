"""The columns of predictions.parquet."""

import pandas as pd


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
        "abstained",
        "scored_at",
    ]
