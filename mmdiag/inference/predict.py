"""From a bundle and prepared cases to diagnoses: probability, modality weights and exact Shapley
values in one pass.
"""

import json
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float

from mmdiag.evaluation.verdict import UNLIKE
from mmdiag.inference.bundle import Bundle
from mmdiag.inference.coalitions.shapley import shapley
from mmdiag.inference.prediction_table import AGREEMENT, ATYPICAL
from mmdiag.model.ensemble import EnsembleModel
from mmdiag.model.network import DiagnosisModel, Output
from mmdiag.prepare.batches import batch_of
from mmdiag.samples import Sample
from mmdiag.task import NOTHING, Task
from mmdiag.tokens import Tokens, present_in
from mmdiag.training.threads import one_thread

BATCH = 64  # cases diagnosed together; a result does not depend on it
INTERACTION_DIGITS, ATTENTION_DIGITS = 6, 4  # that are kept


@torch.inference_mode()
def diagnose(
    bundle: Bundle, samples: Sequence[Sample], *, contributions: bool = True
) -> pd.DataFrame:
    """One row a sample, in order.

    Returns:
        `predicted`, `probability` (or `probability_<class or label>`), `log_odds`, and with
        contributions: `contribution_<m>`, `base`, `interaction` (JSON: how modalities act
        together), `weight_<m>`, `attention` (JSON; None where nothing attends), `attention_member`
        and `attention_weight`: what attends, and its share of the answer.
    """
    with one_thread(
        when=not any(
            preparation.trains_on_raw_input for preparation in bundle.preparations.values()
        )
    ):
        parts = [
            _diagnose_batch(bundle, samples[start : start + BATCH], contributions)
            for start in range(0, len(samples), BATCH)
        ]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _diagnose_batch(bundle: Bundle, samples: Sequence[Sample], contributions: bool) -> pd.DataFrame:
    model = bundle.model
    batch = batch_of(bundle.preparations, samples)
    tokens = model.encode(batch, batch.present)
    output = model.diagnose(tokens)
    probability = model.head.probability(output.logits)
    chosen = probability.argmax(dim=1)
    table = _answers(bundle.task, probability.numpy())
    table["log_odds"] = model.head.log_odds(output.logits, chosen).numpy().astype(np.float64)
    if isinstance(model, EnsembleModel):
        found = {f"{ATYPICAL}{name}": p for name, p in model.p_values(batch).items()}
        table = table.assign(**found, unlike=_unlike(model, found))
        table[AGREEMENT] = model.agreement(batch, tokens, chosen).astype(np.float64)
    if contributions:
        table = pd.concat([table, _explanations(model, tokens, output, chosen)], axis=1)
        if output.fused.attention is not None:
            member, share = _attending(bundle)
            table = table.assign(attention_member=member, attention_weight=share)
    return table


def _attending(bundle: Bundle) -> tuple[str, float]:
    """The family of the network whose attention it is, and its share of what a model's members
    weigh.
    """
    model, config = bundle.model, bundle.config
    if not isinstance(model, EnsembleModel) or not config.ensembles:
        return config.fusion, 1.0
    weight = model.weight.abs()
    return config.ensemble.network, float(weight[-1] / weight.sum().clamp(min=1e-12))


def _unlike(model: EnsembleModel, found: Mapping[str, Float[np.ndarray, "case"]]) -> list[str]:
    """The modalities by which each case is unlike those of the training, as the reason of an
    abstention; "" = none.
    """
    below = float(model.unlike_below)
    rows = zip(*(p < below for p in found.values()), strict=True)
    names = [name.removeprefix(ATYPICAL) for name in found]
    told = [[name for name, unlike in zip(names, row, strict=True) if unlike] for row in rows]
    return [f"{UNLIKE}{'+'.join(names)}" if names else "" for names in told]


def _answers(task: Task, probability: Float[np.ndarray, "case probability"]) -> pd.DataFrame:
    turn = task.threshold
    if task.kind == "multiclass":
        table = pd.DataFrame(probability.astype(np.float64), columns=task.probability_columns)
        table.insert(0, "predicted", [task.classes[i] for i in probability.argmax(1)])
        return table
    if task.multilabel:
        table = pd.DataFrame(probability.astype(np.float64), columns=task.probability_columns)
        table.insert(
            0,
            "predicted",
            [
                ", ".join(name for name, p in zip(task.labels, row, strict=True) if p >= turn)
                or NOTHING
                for row in probability
            ],
        )
        return table
    share = probability[:, 0].astype(np.float64)
    names = np.asarray(task.classes if task.kind == "binary" else ("lower risk", "higher risk"))
    return pd.DataFrame({"predicted": names[(share >= turn).astype(int)], "probability": share})


def _explanations(
    model: DiagnosisModel | EnsembleModel,
    tokens: Mapping[str, Tokens],
    output: Output,
    chosen: torch.Tensor,
) -> pd.DataFrame:
    present = present_in(tokens, model.modalities).numpy()

    def value(
        rows: np.ndarray, coalition: Bool[np.ndarray, "n modality"]
    ) -> Float[np.ndarray, "n"]:
        return coalition_log_odds(model, tokens, chosen, rows, coalition)

    shares = shapley(value, present)
    table = pd.DataFrame(
        {
            f"contribution_{name}": shares.contributions[:, k]
            for k, name in enumerate(model.modalities)
        }
    )
    table["base"] = shares.base
    table["interaction"] = [_as_json(matrix, INTERACTION_DIGITS) for matrix in shares.interactions]
    for k, name in enumerate(model.modalities):
        table[f"weight_{name}"] = output.fused.weights[:, k].numpy().astype(np.float64)
    matrix = output.fused.attention
    table["attention"] = (
        [_as_json(row.numpy(), ATTENTION_DIGITS) for row in matrix] if matrix is not None else None
    )
    return table


def _as_json(matrix: Float[np.ndarray, "modality modality"], digits: int) -> str:
    return json.dumps(np.round(matrix.astype(float), digits).tolist())


@torch.inference_mode()
def coalition_log_odds(
    model: DiagnosisModel | EnsembleModel,
    tokens: Mapping[str, Tokens],
    chosen: torch.Tensor,
    rows: np.ndarray,
    coalition: Bool[np.ndarray, "n modality"],
) -> Float[np.ndarray, "n"]:
    """Log-odds of some cases when of their modalities only those of a coalition are known; nothing
    is encoded again.
    """
    present = present_in(tokens, model.modalities)
    out = np.empty(len(rows), dtype=np.float64)
    for start in range(0, len(rows), 512):
        index = torch.from_numpy(np.asarray(rows[start : start + 512], dtype=np.int64))
        kept = torch.from_numpy(np.ascontiguousarray(coalition[start : start + 512]))
        known = {
            name: Tokens(tokens[name].values[index], tokens[name].mask[index] & kept[:, k : k + 1])
            for k, name in enumerate(model.modalities)
        }
        found = log_odds_of(model, known, chosen[index], present[index])
        out[start : start + 512] = found.numpy()
    return out


def log_odds_of(
    model: DiagnosisModel | EnsembleModel,
    known: Mapping[str, Tokens],
    chosen: torch.Tensor,
    present_BM: Bool[torch.Tensor, "batch modality"],
) -> Float[torch.Tensor, "batch"]:
    """Log-odds of an answer where some modalities of a case are not looked at.

    Which modalities a case has is known before any is looked at: what an ensemble adds for that
    belongs to `base`, and to no modality, of which it would make bars against each other that say
    nothing of their content.

    Args:
        known: Tokens of all modalities, masked where they are not looked at.
        chosen: Number of the answer.
        present_BM: Which modalities each case has.
    """
    logits = model.diagnose(known).logits
    if isinstance(model, EnsembleModel):
        seen = present_in(known, model.modalities)
        logits = logits + model.set_offsets(present_BM) - model.set_offsets(seen)
    return model.head.log_odds(logits, chosen)
