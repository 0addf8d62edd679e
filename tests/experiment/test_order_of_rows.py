"""In which order the rows of tables stand is no information: the same seed gives the same answers,
to the last digit.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from table_builders import rows, write_cohort

from mmdiag import api, recipes
from mmdiag.description import read_description
from mmdiag.storage.ledger import Ledger
from mmdiag.workspace import Workspace

N = 40
SECTION = """
[modalities.other]
kind = "table"
path = "other.csv"
key = "case_id"
[task]
kind = "binary"
label = "outcome"
positive = "yes"
"""


def answers(folder: Path, order: list[int]) -> pd.Series:
    """What a short training says of each case, whose rows stand in some order."""
    rng = np.random.default_rng(3)
    hidden, keys = rng.normal(size=N), [f"k{number:02d}" for number in range(N)]
    columns = {name: rng.normal(size=N) + hidden for name in ("a", "b")}
    other = {name: rng.normal(size=N) - hidden for name in ("c", "d")}
    shuffled = [keys[i] for i in order]

    def table(values: dict[str, np.ndarray]) -> str:
        cells = {name: [f"{column[i]:.4f}" for i in order] for name, column in values.items()}
        return rows(cells, shuffled)

    outcome = ["yes" if hidden[i] > 0 else "no" for i in order]
    cohort = write_cohort(
        folder / "c", table(columns), SECTION, keys=shuffled, cases={"outcome": outcome}
    )
    (folder / "c" / "other.csv").write_text(table(other))
    place = Workspace(folder / "w")
    quick = {"training.max_epochs": 2, "evaluation.folds": 2, "ensemble.folds": 2}
    config = recipes.named("default", settings=quick, seed=3)
    answer = api.compare(read_description(cohort), place, Ledger(place.ledger_url), config)
    return pd.read_parquet(answer["predictions"]).set_index("case_id")["probability"]


def test_shuffled_rows_give_the_same_answers(tmp_path: Path) -> None:
    first = answers(tmp_path / "a", list(range(N)))
    shuffled = answers(tmp_path / "b", np.random.default_rng(1).permutation(N).tolist())
    assert first.equals(shuffled.loc[first.index]) and first.std() > 0
