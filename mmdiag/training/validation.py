"""`Validation`: loss, metric and what the branches know, over a whole pass of the validation cases;
and the metric of each kind of task.
"""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from mmdiag.evaluation.concordance import concordance
from mmdiag.evaluation.ranking import auroc, average_precision
from mmdiag.model.losses import METRICS
from mmdiag.model.network import DiagnosisModel, Output
from mmdiag.tokens import Tokens
from mmdiag.training import collapse
from mmdiag.training.collectives import all_gather
from mmdiag.training.early_stopping import LOSS

# (target, probability) -> the metric
Score = Callable[[Float[ndarray, "case target"], Float[ndarray, "case probability"]], float]
# (bootstrap weights) -> the metric under each of them, as `mmdiag.evaluation.metrics` gives it
Weighted = Callable[[Float[ndarray, "resample case"]], Float[ndarray, "resample"]]


class Validation:
    """What a pass over the validation cases found.

    Args:
        kind: Of the task.
        score: (target, probability) -> the metric.
    """

    def __init__(self, model: DiagnosisModel, kind: str, score: Score) -> None:
        self.model, self.kind, self.score = model, kind, score
        self.begin(probed=False)

    def begin(self, *, probed: bool) -> None:
        """Begin a pass; in some the branches are probed."""
        self.probed = probed
        self.logits: list[Tensor] = []
        self.target: list[Tensor] = []
        self.own: dict[str, list[tuple[Tensor, Tensor]]] = {}
        self.summaries: dict[str, list[Tensor]] = {name: [] for name in self.model.modalities}

    def add(
        self, tokens: Mapping[str, Tokens], output: Output, target: Float[Tensor, "batch target"]
    ) -> None:
        """Take a batch."""
        self.logits.append(output.logits)
        self.target.append(target)
        if output.stacked:
            for name, (logits, present) in output.own.items():
                self.own.setdefault(name, []).append(
                    (logits, target.masked_fill(~present[:, None], torch.nan))
                )
        if self.probed:
            for name, parts in self.summaries.items():
                parts.append(
                    torch.where(
                        tokens[name].present()[:, None], tokens[name].values[:, 0], torch.nan
                    )
                )

    def summary(self) -> tuple[float, float]:
        """Loss over all cases, and the metric; alike in every process.

        Of what is stacked, the loss is the sum of the branches', as in training: what they say
        together is weighed afterwards, and before that it counts
        twice what two of them know.
        """
        logits, target = (
            all_gather(torch.cat(self.logits).float()),
            all_gather(torch.cat(self.target)),
        )
        head = self.model.head
        branches = [self._gathered(parts) for parts in self.own.values()] or [(logits, target)]
        loss = sum(float(head.objective.alone().mean(*head.losses(*branch))) for branch in branches)
        labelled = ~torch.isnan(target).all(1)
        return loss, self.score(
            target[labelled].cpu().numpy(), head.probability(logits)[labelled].cpu().numpy()
        )

    @staticmethod
    def _gathered(parts: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        """Logits of a branch, and targets, NaN of the cases that have it not."""
        return all_gather(torch.cat([logits for logits, _ in parts]).float()), all_gather(
            torch.cat([target for _, target in parts])
        )

    def probes(self) -> dict[str, dict[str, float]]:
        """What each branch knows; empty where the pass was not probed."""
        if not self.probed:
            return {}
        target, found = torch.cat(self.target), {}
        for name, parts in self.summaries.items():
            tokens = torch.cat(parts)
            present = torch.isfinite(tokens).all(1)
            found[name] = collapse.probe(self.kind, tokens[present], target[present])
        return found


def score_of(kind: str, watched: str = LOSS) -> Score:
    """The metric of a kind of task that training shows, and that early stopping may watch.

    Args:
        watched: A metric that the kind has; `loss` = its first.

    Returns:
        (target, probability) -> the metric; NaN where the cases do not allow it.
    """
    name = METRICS[kind][0] if watched == LOSS else watched
    if name == "c_index":
        return lambda target, risk: _unweighted(
            concordance(target[:, 0], target[:, 1], risk[:, 0]), len(risk)
        )
    if name == "accuracy":
        return lambda target, probability: float(np.mean(probability.argmax(1) == target[:, 0]))
    measure = auroc if name == "auroc" else average_precision

    def score(
        target: Float[ndarray, "case target"], probability: Float[ndarray, "case probability"]
    ) -> float:
        columns = (
            (target == np.arange(probability.shape[1])).astype(float)
            if kind == "multiclass"
            else target
        )
        found = [
            _of_label(measure, label, p) for label, p in zip(columns.T, probability.T, strict=True)
        ]
        return float(np.mean([value for value in found if np.isfinite(value)] or [np.nan]))

    return score


def _of_label(
    measure: Callable[[Float[ndarray, "case"], Float[ndarray, "case"]], Weighted],
    label: Float[ndarray, "case"],
    probability: Float[ndarray, "case"],
) -> float:
    labelled = ~np.isnan(label)
    return (
        _unweighted(measure(label[labelled], probability[labelled]), int(labelled.sum()))
        if len(np.unique(label[labelled])) == 2
        else float("nan")
    )


def _unweighted(measure: Weighted, cases: int) -> float:
    return float(measure(np.ones((1, cases)))[0])
