"""Is an ECG worth reading beside a table, and do its windows point at what was planted?

Makes a cohort: beats of an ECG in two leads as WFDB records, in some cases with one premature
ventricular beat (wide and tall) at a random moment, and a table of four laboratory values of which
one counts. The label is drawn from both. The default is trained on the table alone and on both, on
the same folds; then the signal of cases with a planted beat is explained.

Printed: AUROC of both and of the table alone with 95 % intervals; the ratio of the two; the share
of explained cases whose window of the largest effect overlaps the planted beat with its exact 95 %
interval, beside the same share of a window that is drawn at random, and the ratio.

python benchmarks/signals.py --folder DIR [--cases 240] [--seed 1] [--explained 40] [--set K=V ...]
"""

import argparse
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from mmdiag import api, recipes
from mmdiag.description import read_description
from mmdiag.explain.within.case import explain_within
from mmdiag.inference import score as inference
from mmdiag.inference.bundle import Bundle
from mmdiag.prepare.batches import prepare_samples
from mmdiag.storage.ledger import Ledger
from mmdiag.storage.store import Store
from mmdiag.workspace import Workspace

RATE, SECONDS, LEADS = 250, 10, ("II", "V1")
WIDTH_S = 0.16  # of the planted beat, to either side of its peak
DESCRIPTION = """[cohort]
name = "planted-beats"
[cases]
table = "cases.csv"
case_id = "case_id"
[task]
kind = "binary"
label = "label"
positive = "1"
[modalities.labs]
kind = "table"
path = "labs.csv"
key = "case_id"
[modalities.ecg]
kind = "signal"
path = "ecg/{case_id}.hea"
channels = ["V1", "II"]
full_scale = 5
store_hz = 125
"""


def bump(time: np.ndarray, centre: float, width: float, height: float) -> np.ndarray:
    """A Gaussian wave in mV."""
    return height * np.exp(-0.5 * ((time - centre) / width) ** 2)


def beats(random: np.random.Generator, planted: float | None) -> np.ndarray:
    """(time, lead) in mV: P, QRS and T of a regular rhythm, and a planted beat if there is one."""
    time = np.arange(RATE * SECONDS) / RATE
    wave, interval = np.zeros_like(time), random.uniform(0.7, 1.0)
    for beat in np.arange(random.uniform(0.2, 0.6), SECONDS, interval):
        at = beat + random.normal(0, 0.01)
        for shift, width, height in ((-0.16, 0.025, 0.12), (0, 0.012, 1.0), (0.25, 0.05, 0.25)):
            wave += bump(time, at + shift, width, height * random.uniform(0.9, 1.1))
    if planted is not None:
        wave += bump(time, planted, 0.05, 1.6) - bump(time, planted + 0.1, 0.06, 0.7)
    drift = 0.1 * np.sin(2 * np.pi * random.uniform(0.1, 0.3) * time)
    return np.stack(
        [share * wave + drift + random.normal(0, 0.03, len(time)) for share in (1.0, -0.6)], axis=1
    )


def write_record(folder: Path, name: str, wave: np.ndarray) -> None:
    """A WFDB record in format 16, a microvolt a step."""
    lines = [f"{name} {len(LEADS)} {RATE} {len(wave)}"]
    lines += [f"{name}.dat 16 1000(0)/mV 16 0 0 0 0 {lead}" for lead in LEADS]
    (folder / f"{name}.hea").write_text("\n".join(lines) + "\n")
    (folder / f"{name}.dat").write_bytes(np.rint(wave * 1000).astype("<i2").tobytes())


def write_cohort(folder: Path, cases: int, seed: int) -> None:
    """The cohort and, apart from it, when each beat was planted."""
    random = np.random.default_rng(seed)
    (folder / "ecg").mkdir(parents=True)
    keys = [f"c{number:04d}" for number in range(cases)]
    has, level = random.random(cases) < 0.5, random.normal(size=cases)
    label = random.random(cases) < 1 / (1 + np.exp(-(1.2 * level + 3.0 * (has - 0.5))))
    at = np.where(has, random.uniform(1, SECONDS - 1, cases), np.nan)
    for key, moment in zip(keys, at.tolist(), strict=True):
        wave = beats(random, None if np.isnan(moment) else moment)
        write_record(folder / "ecg", key, wave)
    labs = random.normal(size=(cases, 4))
    labs[:, 0] = level + 0.3 * labs[:, 0]
    pd.DataFrame({"case_id": keys, "label": label.astype(int)}).to_csv(
        folder / "cases.csv", index=False
    )
    table = pd.DataFrame(labs.round(4), columns=["crea", "na", "k", "hb"])
    table.insert(0, "case_id", keys)
    table.to_csv(folder / "labs.csv", index=False)
    pd.DataFrame({"case_id": keys, "at_s": at}).to_csv(folder / "planted.csv", index=False)
    (folder / "cohort.toml").write_text(DESCRIPTION)


def pointed_at(
    bundle: Bundle, store: Store, planted: pd.Series, cases: int
) -> tuple[np.ndarray, np.ndarray]:
    """Of each explained case whether the window of the largest effect overlaps the planted beat,
    and the share of all its windows that do.
    """
    keys = [str(key) for key in store.cases["case_id"]]
    rows = [row for row, key in enumerate(keys) if not np.isnan(planted[key])][:cases]
    columns = inference.by_bundle_columns(bundle, store)
    raws = inference.features_of(bundle, store, columns, rows=rows)
    hits, shares = [], []
    for row, sample in zip(rows, prepare_samples(bundle.preparations, raws, rows), strict=True):
        windows: Any = explain_within(bundle, store, row, sample).parts["ecg"]
        at = float(planted[keys[row]])
        over = [w["start_s"] < at + WIDTH_S and w["end_s"] > at - WIDTH_S for w in windows]
        hits.append(over[int(np.argmax([abs(w["value"]) for w in windows]))])
        shares.append(float(np.mean(over)))
    return np.asarray(hits, float), np.asarray(shares)


def main() -> None:
    """Make, train, explain and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--cases", type=int, default=240)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--explained", type=int, default=40)
    parser.add_argument("--set", nargs="*", default=[], help="settings of the recipe, KEY=VALUE")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    cohort, workspace = asked.folder / "cohort", Workspace(asked.folder.resolve() / "workspace")
    if not (cohort / "cohort.toml").is_file():
        write_cohort(cohort, asked.cases, asked.seed)
    description = read_description(cohort / "cohort.toml")
    pairs = (one.split("=", 1) for one in asked.set)
    settings = {name: json.loads(value) for name, value in pairs}
    config = recipes.named("default", settings=settings)
    answer = api.compare(
        description, workspace, Ledger(workspace.ledger_url), config, explain="none"
    )
    found = {
        row["model"]: row
        for row in answer["metrics"]
        if row["metric"] == "auroc" and row.get("subgroup") is None
    }
    for name in ("fused", "labs", "ecg"):
        row = found[name]
        between = f"{row['low']:.3f} to {row['high']:.3f}"
        print(f"{name}: AUROC {row['value']:.3f} ({between}), n {row['n']}")
    ratio = found["fused"]["value"] / found["labs"]["value"]
    print(f"both against the table alone: {ratio:.2f} times")
    bundle = Bundle.load(Path(answer["bundle"]["path"]))
    store = Store.open(workspace, description.name)
    planted = pd.read_csv(cohort / "planted.csv").set_index("case_id")["at_s"]
    hits, shares = pointed_at(bundle, store, planted, asked.explained)
    low, high = binomtest(int(hits.sum()), len(hits)).proportion_ci()
    print(
        f"largest window on the planted beat: {hits.mean():.2f} ({low:.2f} to {high:.2f}) of "
        f"{len(hits)} cases; at random {shares.mean():.2f}; {hits.mean() / shares.mean():.1f} times"
    )


if __name__ == "__main__":
    main()
