"""Every fusion family on real cohorts by configuration alone: the metric with its interval, beside the single modalities and the trivial baselines, on the same subjects.

Each description is ingested once; features and the models of single modalities are made once and shared by the families. Below 300 labelled subjects, and with
--folds always, every case is judged out of fold. A description whose data are not there is left out, and named. With --folder, a second call goes on where the
first stopped.

python benchmarks/cohorts.py [tests/cohorts/lgg.toml ...] [--families concat,late,...] [--folds] [--folder DIR] [--json]
"""

import argparse
import dataclasses
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from mmdiag import api, comparison, recipes, results
from mmdiag.config import FUSION_NAMES
from mmdiag.description import read_description
from mmdiag.errors import DescriptionError
from mmdiag.ledger import Ledger
from mmdiag.runs import FUSED
from mmdiag.workspace import Workspace

COHORTS = sorted((Path(__file__).resolve().parents[1] / "tests" / "cohorts").glob("*.toml"))
SHOWN = ("auroc", "c_index", "c_index_within", "auroc_macro")
NEVER = 10**9  # labelled subjects


def measure(file: Path, families: list[str], folder: Path, *, folds: bool) -> list[dict[str, Any]]:
    """One row a model: its metric, `value, low, high, n`."""
    description, workspace = read_description(file), Workspace(folder)
    ledger, rows = Ledger(workspace.ledger_url), {}
    api.ingest(description, workspace, ledger)
    for family in families:
        config = recipes.default(fusion=family)
        if folds:
            config = dataclasses.replace(config, evaluation=dataclasses.replace(config.evaluation, holdout_from=NEVER))
        run = comparison.start(description, workspace, config)
        for name in comparison.fits(run):
            comparison.fit(run, name)
        for row in results.evaluate(run):
            if row["metric"] in SHOWN:
                model = family if row["model"] == FUSED else row["model"]
                rows[model, row["metric"], family if model == results.DIFFERENCE else ""] = {"cohort": description.name, "family": family, **row, "model": model}
        print(f"{description.name}: {family} done", file=sys.stderr, flush=True)
    return list(rows.values())


def table(rows: list[dict[str, Any]]) -> str:
    """Rows as a Markdown table: single modalities and baselines once, families with what they gain over the best single modality where that is known."""
    gain = {(row["cohort"], row["family"]): row for row in rows if row["model"] == results.DIFFERENCE}
    lines = ["| cohort | model | metric | value (95 % interval) | minus the best single modality | n |", "|---|---|---|---|---|---|"]
    for row in rows:
        if row["model"] == results.DIFFERENCE:
            continue
        more = gain.get((row["cohort"], row["model"])) if row["metric"] in ("auroc", "c_index") else None
        said = f"{more['value']:+.3f} ({more['low']:+.3f} to {more['high']:+.3f})" if more else ""
        lines.append(f"| {row['cohort']} | {row['model']} | {row['metric']} | {row['value']:.3f} ({row['low']:.3f} to {row['high']:.3f}) | {said} | {row['n']} |")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
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
            rows += measure(file, asked.families.split(","), (asked.folder or Path(temporary)) / file.stem, folds=asked.folds)
    print(json.dumps({"benchmark": "cohorts", "rows": rows}) if asked.json else table(rows))


if __name__ == "__main__":
    main()
