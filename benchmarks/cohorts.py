"""Every fusion family on real cohorts by configuration alone: the metric with its interval, beside
the single modalities and the trivial baselines, on the same subjects.

Each description is ingested once; features and the models of single modalities are made once and
shared by the families. Below 300 labelled subjects, and with
--folds always, every case is judged out of fold. A description whose data are not there is left
out, and named. With --folder, a second call goes on where the
first stopped.

A survival cohort has a peer where scikit-survival is installed (`pip install -c constraints.txt -e
'.[bench]'`): late fusion of Cox models on the same features, after
the protocol of published work on reports and genomics (5 folds, C-index, the kind of cancer alone
as the trivial baseline).

python benchmarks/cohorts.py [tests/cohorts/lgg.toml ...] [--families concat,late,...] [--folds]
[--folder DIR] [--json]
"""

import argparse
import dataclasses
import json
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd
import peers

from mmdiag import api, recipes
from mmdiag.config import FUSION_NAMES
from mmdiag.description import read_description
from mmdiag.errors import DescriptionError
from mmdiag.evaluation.metrics import evaluate as metrics_of
from mmdiag.evaluation.metrics import paired_difference
from mmdiag.evaluation.verdict import DIFFERENCE, FUSED
from mmdiag.experiment.evaluate import evaluate
from mmdiag.experiment.fit import fit
from mmdiag.experiment.plan import plan_run
from mmdiag.experiment.run import Run
from mmdiag.storage.ledger import Ledger
from mmdiag.workspace import Workspace

COHORTS = sorted((Path(__file__).resolve().parents[1] / "tests" / "cohorts").glob("*.toml"))
SHOWN = ("auroc", "c_index", "c_index_within", "auroc_macro")
NEVER = 10**9  # labelled subjects
COX, BEYOND = "late-fusion Cox", "fused-minus-cox"


def measure(file: Path, families: list[str], folder: Path, *, folds: bool) -> list[dict[str, Any]]:
    """One row a model: its metric, `value, low, high, n`."""
    description, workspace = read_description(file), Workspace(folder)
    ledger, rows, risk = Ledger(workspace.ledger_url), {}, None
    api.ingest(description, workspace, ledger)
    for family in families:
        config = recipes.default(fusion=family)
        if folds:
            config = dataclasses.replace(
                config, evaluation=dataclasses.replace(config.evaluation, holdout_from=NEVER)
            )
        run = plan_run(description, workspace, config)
        for name in run.fits:
            fit(run, name)
        found = evaluate(run)
        if description.task.kind == "survival" and find_spec("sksurv"):
            risk = peers.late_cox(run) if risk is None else risk
            found += beside(run, risk)
        for row in found:
            if row["metric"] in SHOWN:
                model = family if row["model"] == FUSED else row["model"]
                of = family if model in (DIFFERENCE, BEYOND) else ""
                rows[model, row["metric"], of] = {
                    "cohort": description.name,
                    "family": family,
                    **row,
                    "model": model,
                }
        print(f"{description.name}: {family} done", file=sys.stderr, flush=True)
    return list(rows.values())


def beside(run: Run, risk: pd.Series) -> list[dict[str, Any]]:
    """The peer's C-index, and the fused model's minus it, on the same subjects."""
    judged = pd.read_parquet(run.folder / "out_of_fold.parquet")
    fused = judged[judged["model"] == FUSED]
    said = risk.loc[fused["case_id"]].to_numpy()
    label = fused["event"].to_numpy(float)
    facts: dict[str, Any] = {
        "kind": "survival",
        "time": fused["time"].to_numpy(float),
        "event": label,
        "subject": fused["subject_id"].to_numpy(),
        "fold": fused["part"].to_numpy(),
    }
    gain = paired_difference(
        label, fused["probability"].to_numpy(float), said, metric="c_index", **facts
    )
    return [{"model": COX, **row} for row in metrics_of(label, said, **facts)] + [
        {"model": BEYOND, "metric": "c_index", **gain}
    ]


def table(rows: list[dict[str, Any]]) -> str:
    """Rows as a Markdown table: single modalities, baselines and peer once, families with what they
    gain over the best single modality and over the peer.
    """
    gains = {
        (row["cohort"], row["family"], row["model"]): row
        for row in rows
        if row["model"] in (DIFFERENCE, BEYOND)
    }
    lines = [
        "| cohort | model | metric | value (95 % interval) | minus the best single modality | "
        "minus late-fusion Cox | n |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        if row["model"] in (DIFFERENCE, BEYOND):
            continue
        more = [
            gains.get((row["cohort"], row["model"], of))
            if row["metric"] in ("auroc", "c_index")
            else None
            for of in (DIFFERENCE, BEYOND)
        ]
        said = " | ".join(
            f"{one['value']:+.3f} ({one['low']:+.3f} to {one['high']:+.3f})" if one else ""
            for one in more
        )
        lines.append(
            f"| {row['cohort']} | {row['model']} | {row['metric']} | {row['value']:.3f} "
            f"({row['low']:.3f} to {row['high']:.3f}) | {said} | {row['n']} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cohorts", type=Path, nargs="*", default=COHORTS)
    parser.add_argument("--families", default=",".join(FUSION_NAMES))
    parser.add_argument("--folds", action="store_true")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        for file in asked.cohorts:
            try:
                read_description(file)
            except DescriptionError as error:
                print(f"{file.stem} is left out: {error}", file=sys.stderr)
                continue
            rows += measure(
                file,
                asked.families.split(","),
                (asked.folder or Path(temporary)) / file.stem,
                folds=asked.folds,
            )
    print(json.dumps({"benchmark": "cohorts", "rows": rows}) if asked.json else table(rows))


if __name__ == "__main__":
    main()
