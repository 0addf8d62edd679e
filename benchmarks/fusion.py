"""How near each fusion family comes to the best possible on phantoms whose truth is known: an
interaction, a sum, and a sum with 40 % missing.

Accuracy, not speed. Every case is judged out of fold (5 folds by subject), with the default recipe.
`best` is the AUROC of the Bayes-optimal answer, which knows
the latents of the modalities present, on the very same cases; a model has to read the latents from
pixels, words and genes first, and to learn from so many
labels what they mean. What that costs at least shows the peer: a logistic regression on the same
stored features, whose penalty is chosen on the training cases;
on a sum it is the very model that made the labels.
A seed draws first weights and batches; with several of them the aims are held against the mean of
each family.
With --folder, phantoms and fits are kept, and a second call goes on where the first stopped.

python benchmarks/fusion.py [--json] [--folder DIR] [--families concat,late,...] [--phantoms
interaction,additive,missing] [--seeds 1,2,3]
"""

import argparse
import dataclasses
import itertools
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import peers

from mmdiag import api, recipes
from mmdiag.config import FUSION_FAMILIES, EvaluationConfig, RunConfig
from mmdiag.description import read_description
from mmdiag.evaluation.metrics import evaluate
from mmdiag.experiment.fit import fit
from mmdiag.experiment.plan import plan_run
from mmdiag.experiment.run import Run, open_data
from mmdiag.phantom import latent, write_phantom
from mmdiag.storage.ledger import Ledger
from mmdiag.workspace import Workspace

PHANTOMS: dict[str, dict[str, Any]] = {
    "interaction": {"cases": 600, "seed": 32, "signal": "interaction"},
    "additive": {"cases": 300, "seed": 31, "signal": "additive", "missing": 0.3},
    "missing": {"cases": 600, "seed": 33, "signal": "additive", "missing": 0.4},
    "missing_1500": {"cases": 1500, "seed": 33, "signal": "additive", "missing": 0.4},
}
PEER = "logistic regression"
CHAIN = "cross_modal+modality_attention+late"
FINDS_PRODUCTS = ("cross_modal", "low_rank", "deep")
# of the best possible; of it; AUROC below it
LEAST_INTERACTION, LEAST_ADDITIVE, MOST_BELOW = (
    0.93,
    0.97,
    0.02,
)
FOLDS = 5


def measure(
    folder: Path, families: list[str], phantoms: list[str], seeds: list[int]
) -> list[dict[str, Any]]:
    """One row a phantom, seed and model: `auroc, low, high, n`, the best possible on the same
    cases, and the share of it.
    """
    rows = []
    for name in phantoms:
        cohort, workspace = _ingested(folder / name, PHANTOMS[name])
        for seed, family in itertools.product(seeds, families):
            models = [
                "fused",
                *(
                    (latent.MODALITIES if name == "interaction" else [PEER])
                    if family == families[-1]
                    else ()
                ),
            ]
            judged = _judged(
                cohort,
                workspace,
                recipes.default(fusion=family, seed=seed),
                models,
                PHANTOMS[name]["signal"],
            )
            rows += [{"phantom": name, "seed": seed, **row} for row in judged]
            for row in rows[-len(models) :]:
                print(_line(row), file=sys.stderr, flush=True)
    return rows


def _ingested(folder: Path, options: dict[str, Any]) -> tuple[Path, Workspace]:
    workspace = Workspace(folder / "workspace")
    if not (folder / "cohort" / "truth" / "truth.json").is_file():
        write_phantom(folder / "cohort", **options)
    api.ingest(
        read_description(folder / "cohort" / "cohort.toml"), workspace, Ledger(workspace.ledger_url)
    )
    return folder / "cohort", workspace


def _judged(
    cohort: Path, workspace: Workspace, recipe: RunConfig, models: list[str], signal: str
) -> list[dict[str, Any]]:
    config = dataclasses.replace(
        recipe, evaluation=EvaluationConfig(folds=FOLDS, holdout_from=10**9)
    )
    run = plan_run(read_description(cohort / "cohort.toml"), workspace, config)
    rows = []
    for model in models:
        if model == PEER:
            rows.append(
                {"model": PEER, **_compared(peers.logistic_regression(run), cohort, run, signal)}
            )
            continue
        names = peers.judging(run, model)
        for name in names:
            fit(run, name)
        predicted = pd.concat([run.predictions(name) for name in names]).set_index("case_id")[
            "probability"
        ]
        rows.append(
            {
                "model": recipe.fusion if model == "fused" else model,
                **_compared(predicted, cohort, run, signal),
            }
        )
    return rows


def _compared(predicted: pd.Series, cohort: Path, run: Run, signal: str) -> dict[str, Any]:
    data = open_data(run)
    cases = data.cases.set_index("case_id").loc[predicted.index]
    present = cases[[f"has_{name}" for name in latent.MODALITIES]].to_numpy(bool)
    truth = (
        pd.read_parquet(cohort / "truth" / "cases.parquet")
        .set_index("case_id")
        .loc[predicted.index]
    )
    contributions = truth[[f"contribution_{name}" for name in latent.MODALITIES]].to_numpy(float)
    label = cases["label"].to_numpy(float)
    found = next(
        row for row in evaluate(label, predicted.to_numpy(float)) if row["metric"] == "auroc"
    )
    best = latent.auroc(label > 0, best_possible(contributions, present, signal))
    kept = {key: round(found[key], 3) for key in ("value", "low", "high")}
    return {
        **kept,
        "n": found["n"],
        "best": round(best, 3),
        "share": round(found["value"] / best, 3),
    }


def best_possible(contributions: np.ndarray, present: np.ndarray, signal: str) -> np.ndarray:
    """Chance of the positive label for one who knows what the modalities present contribute, and
    how the absent ones may be distributed.
    """
    others = latent.contributions(latent.draw(400, signal, np.random.default_rng(0)).u, signal)
    known = np.where(present, contributions, 0.0).sum(axis=1)
    return (1 / (1 + np.exp(-(known[:, None] + ~present @ others.T)))).mean(axis=1)


def verdicts(rows: list[dict[str, Any]]) -> dict[str, bool]:
    """Which of the aims hold, of those that were measured, by the mean of each family over the
    seeds.
    """
    of: dict[str, dict[str, dict[str, float]]] = {name: {} for name in PHANTOMS}
    for row in means(rows):
        of[row["phantom"]][row["model"]] = row
    found = {}
    products = [
        of["interaction"][name]["share"] for name in FINDS_PRODUCTS if name in of["interaction"]
    ]
    if products:
        found["interaction: cross_modal, low_rank or deep find the product"] = (
            max(products) >= LEAST_INTERACTION
        )
    alone = [
        of["interaction"][name]["low"]
        for name in ("late", *latent.MODALITIES)
        if name in of["interaction"]
    ]
    if alone:
        found["interaction: late and single modalities stay at chance"] = max(alone) <= 0.55
    families = {
        name: [row for model, row in rows_of.items() if model != PEER]
        for name, rows_of in of.items()
    }
    if families["additive"]:
        found["additive: every family"] = (
            min(row["share"] for row in families["additive"]) >= LEAST_ADDITIVE
        )
    for name in ("missing", "missing_1500"):
        if families[name]:
            said = f"40 % missing, {PHANTOMS[name]['cases']} cases: every family"
            found[said] = max(row["best"] - row["value"] for row in families[name]) <= MOST_BELOW
    return found


def means(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row a phantom and model: the means over the seeds."""
    table = (
        pd.DataFrame(rows)
        .groupby(["phantom", "model"], sort=False)
        .mean(numeric_only=True)
        .drop(columns="seed")
    )
    return table.round(3).reset_index().to_dict("records")  # type: ignore[return-value]


def _line(row: dict[str, Any]) -> str:
    asked = f"| {row['phantom']} | {row['model']} | {row.get('seed', 'mean')} |"
    return (
        f"{asked} {row['value']:.3f} ({row['low']:.3f} to {row['high']:.3f}) | "
        f"{row['best']:.3f} | {row['share']:.3f} | {row['n']:.0f} |"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--families", default=",".join([*FUSION_FAMILIES, CHAIN]))
    parser.add_argument("--phantoms", default=",".join(PHANTOMS))
    parser.add_argument("--seeds", default="1")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        rows = measure(
            asked.folder or Path(temporary),
            asked.families.split(","),
            asked.phantoms.split(","),
            list(map(int, asked.seeds.split(","))),
        )
    if asked.json:
        print(json.dumps({"benchmark": "fusion", "rows": rows, "verdicts": verdicts(rows)}))
        return
    print(
        "| phantom | model | seed | AUROC (95 % interval) | best possible | share | n "
        "|\n|---|---|---|---|---|---|---|"
    )
    print("\n".join(map(_line, [*rows, *(means(rows) if "," in asked.seeds else ())])))
    for aim, held in verdicts(rows).items():
        print(f"{'holds' if held else 'FALLS SHORT'}: {aim}")


if __name__ == "__main__":
    main()
