"""AutoGluon Tabular on the folds of `accuracy.py`, in an environment of its own: what it asks of
scikit-learn and pandas is not what mmdiag asks, and mmdiag does not need it.

python -m venv PEER && PEER/bin/pip install "autogluon.tabular[lightgbm,catboost,xgboost]==1.6.3"
python benchmarks/accuracy.py --peer PEER/bin/python --models "late fusion" ensemble autogluon ...

All modalities are columns of one table, as its users would join them: a note as text, of which
AutoGluon makes counts of words; columns of tables; statistics of images. PEER runs this file, and
has neither mmdiag nor its packages: it learns `label` from FOLDER/train.parquet with AutoGluon's
defaults within SECONDS, and answers the rows of whole.parquet and blanked.parquet.
"""

import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

LABEL, SECONDS = "label", 120
ASKED = ("whole", "blanked")


def autogluon(
    python: str, data: Any, train: np.ndarray, test: np.ndarray, blanks: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Chances of the test cases, and with one modality of each blanked.

    Args:
        python: That of the peer's environment.
        data: A cohort as a run has it (`mmdiag.experiment.run.RunData`), of a binary task.
        blanks: The number of the modality that each test case is asked without; -1 = none.
    """
    if data.store.task.kind != "binary":
        raise SystemExit("AutoGluon answers binary tasks alone: name them by --tasks.")
    parts = [_columns(data, name) for name in data.store.modalities]
    table = pd.concat(parts, axis=1)
    whole = table.iloc[test].reset_index(drop=True)
    blanked = whole.copy()
    for number, part in enumerate(parts):
        blanked.loc[blanks == number, part.columns] = None
    labels = data.cases[LABEL].to_numpy(float)[train].astype(int)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        learned = table.iloc[train].reset_index(drop=True).assign(**{LABEL: labels})
        for name, rows in (("train", learned), ("whole", whole), ("blanked", blanked)):
            rows.to_parquet(folder / f"{name}.parquet")
        command = [python, __file__, place, str(SECONDS)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"The peer failed:\n{done.stderr[-2000:]}")
        with np.load(folder / "answers.npz") as found:
            return found["whole"], found["blanked"]


def _columns(data: Any, name: str) -> pd.DataFrame:
    """What a user would put into one table of a modality; missing where a case has none."""
    from mmdiag.experiment.late_fusion import plain_columns
    from mmdiag.kinds import NOTE, kind_named

    store, kind = data.store, data.store.modalities[name]
    there = store.present(name)
    if kind_named(kind).layout == NOTE:
        notes = [store.text(name, row) if there[row] else None for row in range(len(there))]
        return pd.DataFrame({name: notes})
    values = plain_columns(data, name)
    return pd.DataFrame(values, columns=[f"{name} {n}" for n in range(values.shape[1])])


def _answer(folder: Path, seconds: float) -> None:
    """The peer's half: fit, and answer."""
    from autogluon.tabular import TabularPredictor

    predictor = TabularPredictor(
        label=LABEL,
        problem_type="binary",
        eval_metric="roc_auc",
        path=str(folder / "model"),
        verbosity=0,
    )
    predictor.fit(pd.read_parquet(folder / "train.parquet"), time_limit=seconds, num_cpus=1)
    tables = {name: pd.read_parquet(folder / f"{name}.parquet") for name in ASKED}
    found = {name: predictor.predict_proba(rows)[1].to_numpy() for name, rows in tables.items()}
    np.savez(folder / "answers.npz", **found)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    warnings.simplefilter("ignore")
    _answer(Path(sys.argv[1]), float(sys.argv[2]))
