"""The predictions of every accepted case: out of fold where it is held out, else by the run's
bundle.
"""

import numpy as np
import pandas as pd

from mmdiag.contracts.internal_tables import validate_predictions
from mmdiag.experiment.fit_id import TEST
from mmdiag.experiment.run import Run, RunData, open_data
from mmdiag.inference.bundle import Bundle
from mmdiag.inference.prediction_table import prediction_columns, with_abstentions
from mmdiag.privacy.subject_keys import workspace_key
from mmdiag.storage.tables import write_parquet


def write_predictions(run: Run) -> pd.DataFrame:
    """Write predictions.parquet and explanations/modality.parquet, and return all columns.

    Returns:
        One row an accepted case: the columns of predictions.parquet, `version`, and of each
        modality weight and contribution.

    Raises:
        ContractError: The predictions break their contract.
    """
    table = predictions(run)
    published = table[prediction_columns(table)]
    validate_predictions(published, exclusive=not open_data(run).store.task.multilabel)
    write_parquet(run.folder / "predictions.parquet", published)
    weights = [c for c in table.columns if c.startswith(("weight_", "contribution_"))]
    beside = [c for c in ("attention", "interaction", "base") if c in table]
    modality = table[["case_id", *weights, *beside]]
    write_parquet(run.folder / "explanations" / "modality.parquet", modality)
    return table


def predictions(run: Run) -> pd.DataFrame:
    """One row an accepted case: out of fold where it is held out, else by the run's bundle."""
    data = open_data(run)
    fused = [fit for fit in run.fits if fit.fused]
    answers = []
    for fit in fused:
        facts = run.fitted(fit)
        answers.append(
            run.predictions(fit).assign(
                fold=fit.fold, bundle_id=facts["bundle_id"], scored_at=facts["finished"]
            )
        )
    keys = data.cases[["case_id", "subject_id", "as_of", "version"]]
    table = keys.merge(pd.concat(answers), on="case_id", how="inner")
    table["role"] = _roles(run, data, table)
    table["modalities"] = _present(data, table["case_id"])
    met = {
        fit.fold: {frozenset(pattern) for pattern in run.fitted(fit).get("patterns", ())}
        for fit in fused
    }
    known = [
        not met[fold] or frozenset(names) in met[fold]
        for fold, names in zip(table["fold"], table["modalities"], strict=True)
    ]
    return with_abstentions(table.drop(columns="fold"), known)


def _roles(run: Run, data: RunData, table: pd.DataFrame) -> np.ndarray:
    """What each case was to the model that made its row: (case,) of `out-of-fold`, `test`, `train`
    or `new`.
    """
    bundle = Bundle.load(run.bundle_folder(run.final))
    key = workspace_key(run.workspace.path)
    learned = [bool(bundle.learned_from(subject, key)) for subject in table["subject_id"]]
    roles = np.where(learned, "train", "new").astype(object)
    roles[table["fold"].str.startswith("fold-").to_numpy()] = "out-of-fold"
    part = data.split.of(table["subject_id"])
    roles[((table["fold"] == TEST) & (part == TEST)).to_numpy()] = TEST
    return roles


def _present(data: RunData, case_ids: pd.Series) -> list[list[str]]:
    present = {name: data.store.present(name) for name in data.store.modalities}
    row_of = {case: row for row, case in enumerate(data.cases["case_id"])}
    return [[name for name in present if present[name][row_of[case]]] for case in case_ids]
