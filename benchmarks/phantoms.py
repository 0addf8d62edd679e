"""How near the default comes to the best possible on phantoms whose truth is known.

For each signal several phantoms of 600 cases, each trained once by `mmdiag train`'s own plan (a
held-out quarter is judged). The test cases of all phantoms of a signal are judged phantom by
phantom, and the AUROCs averaged; the interval draws cases within each phantom. `best possible` is
the Bayes-optimal answer on the same cases, late fusion the rival that a user could write.

additive, redundant, interaction, one-modality: share of the best possible
none:                                           the interval holds 0.5
missing:                                        additive, two fifths of the modalities taken away:
                                                not below late fusion

python benchmarks/phantoms.py --folder DIR [--signals additive,...] [--seeds 5] [--model ensemble]

With the same folder a second call goes on where the first stopped.
"""

import argparse
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from fusion import best_possible

from mmdiag import api, recipes
from mmdiag.description import read_description
from mmdiag.evaluation.ranking import auroc
from mmdiag.experiment.fit import fit
from mmdiag.experiment.fit_id import ALL, TEST
from mmdiag.experiment.late_fusion import late_fusion
from mmdiag.experiment.plan import plan_run
from mmdiag.experiment.run import open_data
from mmdiag.phantom import latent, write_phantom
from mmdiag.storage.ledger import Ledger
from mmdiag.workspace import Workspace

SIGNALS: dict[str, dict[str, Any]] = {
    "additive": {},
    "redundant": {},
    "interaction": {},
    "one-modality": {},
    "none": {},
    "missing": {"signal": "additive", "missing": 0.4},
}
CASES, RESAMPLES, FIRST_SEED = 600, 1000, 101


def judged(folder: Path, options: dict[str, Any], model: str) -> pd.DataFrame:
    """The held-out cases of one phantom: label, and what the model, late fusion and one who knows
    the truth say.
    """
    kept = folder / f"judged-{model}.parquet"
    if kept.is_file():
        return pd.read_parquet(kept)
    workspace = Workspace(folder / "workspace")
    if not (folder / "cohort" / "truth" / "truth.json").is_file():
        write_phantom(folder / "cohort", **options)
    description = read_description(folder / "cohort" / "cohort.toml")
    api.ingest(description, workspace, Ledger(workspace.ledger_url))
    run = plan_run(description, workspace, recipes.default(fusion=model))
    one = next(name for name in run.fits if name.fused and name.fold != ALL)
    fit(run, one)
    data = open_data(run, one.fold)
    part = data.split.of(data.cases["subject_id"])
    test = (part == TEST).to_numpy()
    cases = data.cases[test].set_index("case_id")
    table = run.predictions(one).set_index("case_id").loc[cases.index]
    truth = pd.read_parquet(folder / "cohort" / "truth" / "cases.parquet")
    truth = truth.set_index("case_id").loc[table.index]
    names = latent.MODALITIES
    best = best_possible(
        truth[[f"contribution_{name}" for name in names]].to_numpy(float),
        cases[[f"has_{name}" for name in names]].to_numpy(bool),
        options["signal"],
    )
    rival = late_fusion(data, part, test, data.cases.loc[test, ["case_id"]])["probability"]
    found = pd.DataFrame(
        {
            "label": cases["label"].to_numpy(float),
            "model": table["probability"].to_numpy(float),
            "best": best,
            "rival": rival.to_numpy(float),
        }
    )
    found.to_parquet(kept)
    return found


def averaged(tables: Sequence[pd.DataFrame]) -> dict[str, np.ndarray]:
    """Model, best possible and rival -> their mean AUROC over phantoms: of all cases, and of every
    resample of them.
    """
    random = np.random.default_rng(0)
    parts: dict[str, list[np.ndarray]] = {"model": [], "best": [], "rival": []}
    for table in tables:
        drawn = random.multinomial(len(table), np.full(len(table), 1 / len(table)), RESAMPLES)
        weights = np.concatenate([np.ones((1, len(table))), drawn])
        for name, values in parts.items():
            found = auroc(table["label"].to_numpy(), table[name].to_numpy())(weights)
            values.append(found)
    return {name: np.nanmean(np.stack(values), axis=0) for name, values in parts.items()}


def row(signal: str, tables: Sequence[pd.DataFrame]) -> dict[str, Any]:
    """The line of a signal."""
    found = averaged(tables)
    share = found["model"] / found["best"]
    less = found["model"] - found["rival"]
    return {
        "signal": signal,
        "phantoms": len(tables),
        "n": sum(map(len, tables)),
        "auroc": _cell(found["model"]),
        "best possible": f"{found['best'][0]:.3f}",
        "share": _cell(share),
        "late fusion": f"{found['rival'][0]:.3f}",
        "difference": _cell(less, "+"),
    }


def _cell(values: np.ndarray, sign: str = "") -> str:
    low, high = np.quantile(values[1:], [0.025, 0.975])
    return f"{values[0]:{sign}.3f} ({low:{sign}.3f} to {high:{sign}.3f})"


def parser_of(text: str | None, signals: Iterable[str]) -> argparse.ArgumentParser:
    """What every benchmark of phantoms is asked."""
    parser = argparse.ArgumentParser(
        description=text, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--signals", default=",".join(signals))
    parser.add_argument("--seeds", type=int, default=5)
    return parser


def print_table(rows: Sequence[dict[str, Any]]) -> None:
    """Rows as Markdown; what one of them lacks is empty."""
    columns = list(dict.fromkeys(name for one in rows for name in one))
    print("| " + " | ".join(columns) + " |\n" + "|---" * len(columns) + "|")
    for one in rows:
        print("| " + " | ".join(str(one.get(name, "")) for name in columns) + " |")


def main() -> None:
    """Train, judge and print."""
    parser = parser_of(__doc__, SIGNALS)
    parser.add_argument("--model", default="ensemble")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    rows = []
    for signal in asked.signals.split(","):
        tables = []
        for seed in range(FIRST_SEED, FIRST_SEED + asked.seeds):
            options = {"cases": CASES, "seed": seed, "signal": signal, **SIGNALS[signal]}
            tables.append(judged(asked.folder / f"{signal}-{seed}", options, asked.model))
            print(json.dumps(row(signal, tables)), flush=True)
        rows.append(row(signal, tables))
    if asked.json:
        print(json.dumps({"benchmark": "phantoms", "rows": rows}))
        return
    print_table(rows)


if __name__ == "__main__":
    main()
