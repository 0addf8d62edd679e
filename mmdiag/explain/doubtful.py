"""Which cases of many are explained in full first: those that a person will look at."""

import pandas as pd

from mmdiag.explain.choice import FULL
from mmdiag.task import EVEN


def to_explain(
    predictions: pd.DataFrame, explain: str, full_for: int | None = None, turn: float = EVEN
) -> list[str]:
    """The keys of the cases that are explained in full.

    Args:
        predictions: case_id, the answers, and `abstained` where it is known.
        full_for: So many, of which those come first that the model abstains from, then those whose
            answer is nearest to another one; None = all of them.
        turn: The probability at which the answer turns.
    """
    if explain != FULL or predictions.empty:
        return []
    if full_for is None:
        return sorted(predictions["case_id"])
    answers = predictions[
        [c for c in predictions if c == "probability" or str(c).startswith("probability_")]
    ].astype(float)
    answered = ~predictions.get("abstained", pd.Series(False, predictions.index)).astype(bool)
    exclusive = answers.shape[1] > 1 and bool((answers.sum(axis=1) - 1).abs().max() < 1e-3)
    # of classes that rule each other out the largest share, else the answer nearest to a turn
    sure = answers.max(axis=1) if exclusive else (answers - turn).abs().min(axis=1)
    order = pd.DataFrame({"case_id": predictions["case_id"], "answered": answered, "sure": sure})
    ordered = order.sort_values(["answered", "sure", "case_id"])
    return ordered["case_id"].head(full_for).tolist()
