"""How much of a model's answers is an interplay of modalities, where it is known how much is: the
InterSHAP of the default model on cohorts of two tables, beside the values that were published for
networks on data of the same kinds.

synergy     the label is the exclusive or of a sign in each table
uniqueness  the label is a sign in the first table
redundancy  the label is a sign that both tables have
noise       the label is a coin

python benchmarks/intershap.py [--cases 600] [--fusion ensemble] [--seed 0]

Reference:
    Wenderoth 2024, Measuring cross-modal interactions in multimodal models, table 1 (HD-XOR).
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from mmdiag import api, recipes
from mmdiag.description import read_description
from mmdiag.storage.ledger import Ledger
from mmdiag.workspace import Workspace

PUBLISHED = {
    "synergy": "98 to 99.7 %",
    "uniqueness": "0 to 3 %",
    "redundancy": "38.6 %",
    "noise": "57.8 %",
}
COLUMNS = 4  # of each table, of which the first has the sign
TOML = """
[cohort]
name = "{name}"
root = "."
[cases]
table = "cases.csv"
case_id = "case_id"
[task]
kind = "binary"
label = "label"
positive = "1"
[modalities.first]
kind = "table"
path = "first.csv"
key = "case_id"
[modalities.second]
kind = "table"
path = "second.csv"
key = "case_id"
"""


def write(folder: Path, kind: str, cases: int, seed: int) -> Path:
    """A cohort of two tables."""
    rng = np.random.default_rng(seed)
    keys = [f"c{number:05d}" for number in range(cases)]
    first, second = (rng.normal(size=(cases, COLUMNS)) for _ in range(2))
    if kind == "redundancy":
        second[:, 0] = np.sign(first[:, 0]) * np.abs(second[:, 0])
    label = {
        "synergy": (first[:, 0] > 0) ^ (second[:, 0] > 0),
        "uniqueness": first[:, 0] > 0,
        "redundancy": first[:, 0] > 0,
        "noise": rng.random(cases) < 0.5,
    }[kind]
    names = [f"x{number}" for number in range(COLUMNS)]
    for name, values in (("first", first), ("second", second)):
        table = pd.DataFrame(values, columns=names)
        table.insert(0, "case_id", keys)
        table.to_csv(folder / f"{name}.csv", index=False)
    cohort = pd.DataFrame({"case_id": keys, "label": label.astype(int)})
    cohort.to_csv(folder / "cases.csv", index=False)
    (folder / "cohort.toml").write_text(TOML.format(name=kind))
    return folder / "cohort.toml"


def measure(kind: str, cases: int, fusion: str, seed: int) -> str:
    """One row of the table."""
    with tempfile.TemporaryDirectory() as folder:
        place = Workspace(Path(folder) / "w")
        description = read_description(write(Path(folder), kind, cases, seed))
        settings = {"evaluation.folds": 3, "ensemble.folds": 3, "evaluation.resamples": 200}
        config = recipes.named("default", fusion=fusion, settings=settings, seed=seed)
        answer = api.compare(description, place, Ledger(place.ledger_url), config)
    auroc = next(
        row["value"]
        for row in answer["metrics"]
        if row["model"] == "fused" and row["metric"] == "auroc"
    )
    share, less = answer["interplay"]["intershap"], answer["interplay"]["additive"]
    return (
        f"| {kind} | {auroc:.3f} | {share['value']:.1%} ({share['low']:.1%} to "
        f"{share['high']:.1%}) | {PUBLISHED[kind]} | {less['part']:.3f} | "
        f"{'yes' if answer['interplay']['shown'] else 'no'} |"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cases", type=int, default=600)
    parser.add_argument("--fusion", default="ensemble")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    print("| label | AUROC | InterSHAP | published | AUROC of the additive part | told to people |")
    print("|---|---|---|---|---|---|")
    for kind in PUBLISHED:
        print(measure(kind, given.cases, given.fusion, given.seed), flush=True)


if __name__ == "__main__":
    main()
