"""Does a model notice cases of a kind that it has never seen?

Each kind of cancer of `pancancer` is left out in turn, the default is fitted on four fifths of the
others, and says of the left-out kind, and of the held-out fifth of the same kinds, how many cases
it abstains from as unlike the training, and whether the batch is flagged. Every kind has a split of
its own: one split has its luck, and five kinds on it have the same. Aims: flagged in 4 of 5 kinds,
at most 5 % of like cases abstained. The networks are trained for one epoch: what is unlike is told
by the features alone.

python benchmarks/unlike.py --data DIR --out DIR [--kinds brca ...]
"""

import argparse
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from accuracy import BINARY, SURVIVAL, TASKS, bundle_of, folds_of, ingested, question_data

from mmdiag import recipes
from mmdiag.evaluation.verdict import UNLIKE
from mmdiag.experiment.fit import learn_ensemble
from mmdiag.inference.bundle import Bundle
from mmdiag.inference.predict import diagnose
from mmdiag.inference.shift import shift_of, usual_halves
from mmdiag.prepare.batches import prepare_samples

TASK = "pan_surv"


def said_of(
    bundle: Bundle, data: Any, rows: np.ndarray, usual: Mapping[str, float]
) -> dict[str, Any]:
    """Share of abstained cases, and by which modalities the batch is flagged."""
    samples = prepare_samples(bundle.preparations, data.raws, rows.tolist())
    table = diagnose(bundle, samples, contributions=False)
    unlike = table["unlike"].fillna("").str.startswith(UNLIKE)
    flagged = [name for name, found in shift_of(table, usual).items() if found["unlike"]]
    return {"n": len(rows), "abstained": float(unlike.mean()), "flagged": "+".join(flagged)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--kinds", nargs="*", default=())
    asked = parser.parse_args()
    (asked.out / "workspace").mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("ignore")
    config = recipes.named("default", settings={"training.max_epochs": 1})
    data = question_data(TASK, ingested("pancancer", asked.data, asked.out), asked.data, config)
    assert data.store.task in (BINARY, SURVIVAL) and TASKS[TASK].cohort == "pancancer"
    table = pd.read_csv(asked.data / "pancancer" / "cohort.csv", dtype=str)
    kind = table.drop_duplicates("patient_id").set_index("patient_id")["cancer"]
    kind_of = kind.reindex(data.cases["case_id"]).to_numpy(str)
    kinds, like_cases, told_apart = sorted(set(kind_of)), 0, 0.0
    print("| left out | flagged | n | abstained | like cases: flagged | n | abstained |")
    print("|---" * 7 + "|")
    for left_out in asked.kinds or kinds:
        train, test = next(folds_of(data, kinds.index(left_out)))
        like = train[kind_of[train] != left_out]
        learned = learn_ensemble(data, config, list(data.store.modalities), like, fold=left_out)
        bundle = bundle_of(learned, config, data)
        usual = usual_halves(bundle.save(asked.out / "bundles")[1])
        whole = np.sort(np.concatenate([train, test]))
        other = said_of(bundle, data, whole[kind_of[whole] == left_out], usual)
        same = said_of(bundle, data, test[kind_of[test] != left_out], usual)
        cells = [
            f"{part['flagged'] or 'no'} | {part['n']} | {part['abstained']:.1%}"
            for part in (other, same)
        ]
        print(f"| {left_out} | {' | '.join(cells)} |", flush=True)
        like_cases, told_apart = like_cases + same["n"], told_apart + same["n"] * same["abstained"]
    print(f"Of {like_cases} like cases {told_apart / like_cases:.1%} abstained.")


if __name__ == "__main__":
    main()
