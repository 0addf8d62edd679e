"""Do explanations name what is true? Phantoms of 600 cases whose truth is known, with distractors:
bright spots beside a dark lesion and as many sentences beside the findings', which carry nothing of
the outcome.

For each phantom of a signal, on the held-out cases that have every modality:

contributions  correlation of each modality's contribution with the generator's, and the worst of
               them, beside that of the model's logit with the true one
interplay      the mean Shapley interaction of two modalities, and the mean size of what each adds
               alone, both as a share of all (log-odds)
lesion         share of cases whose strongest region lies within a cell of the lesion, in its slices
distractor     the same of any distractor, where it does not lie at the lesion, too
words          share of the five strongest words that stand in a finding's sentence, however it
               is spelled: not in a heading, the history, chatter or what was found by the way
genes          AUROC of the mean size of a gene's part for the genes that matter
deletion       how much more the answer falls without what supports it most than without as much at
               random, filled with nothing and with what is usual
reliable       what `mmdiag explain --checks` says

The rivals are the same model with its weights shuffled, a model of the same phantom that learned
from shuffled labels, parts that are drawn at random (of regions and words), and phantoms without a
signal. Of a model that says nothing there are no parts to judge: its cells are empty. Cells are the
mean over phantoms with the least and the largest of them.

python benchmarks/explained_phantoms.py --folder DIR [--signals additive,...] [--seeds 5]
    [--cases 60]
"""

import dataclasses
import json
import re
import warnings
from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from phantoms import CASES, FIRST_SEED, averaged, judged, parser_of, print_table

from mmdiag import recipes
from mmdiag.description import read_description
from mmdiag.evaluation.ranking import auroc
from mmdiag.experiment.fit_id import ALL, TEST
from mmdiag.experiment.plan import plan_run
from mmdiag.experiment.run import open_data
from mmdiag.explain.checks import check, with_shuffled_weights
from mmdiag.explain.within.case import explain_within
from mmdiag.inference.bundle import Bundle
from mmdiag.phantom import write_phantom
from mmdiag.phantom.notes import CHATTER, HISTORY, INCIDENTAL
from mmdiag.prepare.batches import batch_of, prepare_samples
from mmdiag.workspace import Workspace

MODEL, WORDS, CHECKED = "ensemble", 5, 12
SIGNALS = ("additive", "interaction", "none")
HEADINGS = ("HISTORY:", "FINDINGS:", "IMPRESSION:")
Row = dict[str, float]


@dataclasses.dataclass(frozen=True, slots=True)
class Trained:
    """A model of a phantom.

    Args:
        kept: What it says of the held-out cases, beside their labels.
        said: Its predictions of those that have every modality.
        rows: These, in the store; `test`: all held-out ones.
    """

    bundle: Bundle
    data: Any
    kept: pd.DataFrame
    said: pd.DataFrame
    rows: np.ndarray
    test: np.ndarray
    cohort: Path


def trained(folder: Path, options: dict[str, Any], *, shuffled_labels: bool = False) -> Trained:
    """Write a phantom and train on it, where that is not done yet."""
    cohort = folder / "cohort"
    if not (cohort / "truth" / "truth.json").is_file():
        write_phantom(cohort, **options)
        if shuffled_labels:
            table = pd.read_csv(cohort / "cases.csv", dtype=str)
            order = np.random.default_rng(options["seed"]).permutation(len(table))
            table.assign(label=table["label"].to_numpy()[order]).to_csv(
                cohort / "cases.csv", index=False
            )
    kept = judged(folder, options, MODEL)
    description = read_description(cohort / "cohort.toml")
    run = plan_run(description, Workspace(folder / "workspace"), recipes.default(fusion=MODEL))
    one = next(name for name in run.fits if name.fused and name.fold != ALL)
    data, bundle = open_data(run, one.fold), Bundle.load(run.bundle_folder(one))
    test = (data.split.of(data.cases["subject_id"]) == TEST).to_numpy()
    whole = np.all([data.store.present(name) for name in bundle.kinds], axis=0)
    rows = np.flatnonzero(test & whole)
    said = run.predictions(one).set_index("case_id").loc[data.cases["case_id"].iloc[rows]]
    return Trained(bundle, data, kept, said, rows, np.flatnonzero(test), cohort)


def of_phantom(folder: Path, options: dict[str, Any], cases: int) -> dict[str, Row]:
    """What was found in one phantom: of its model, and of its rivals."""
    own = trained(folder, options)
    truth = pd.read_parquet(own.cohort / "truth" / "cases.parquet").set_index("case_id")
    found = answers(own.said, truth.loc[own.said.index], list(own.bundle.kinds))
    named, at_random = judged_parts(own, cases)
    weights = with_shuffled_weights(own.bundle)
    said = own.kept.assign(model=probabilities(weights, own.data, own.test))
    shuffled = dataclasses.replace(own, bundle=weights, kept=said)
    rivals = {"shuffled weights": judged_parts(shuffled, cases)[0]}
    if options["signal"] != "none":
        permuted = folder.with_name(f"{folder.name}-shuffled")
        without = trained(permuted, options, shuffled_labels=True)
        rivals["shuffled labels"] = judged_parts(without, cases)[0]
    return {"model": found | named, **rivals, "random parts": at_random}


def judged_parts(model: Trained, cases: int) -> tuple[Row, Row]:
    """What its parts name, with its own checks; and what any parts of it would."""
    number = min(cases, len(model.rows))
    chosen = model.rows[np.linspace(0, len(model.rows) - 1, number).round().astype(int)]
    bundle = dataclasses.replace(model.bundle, card_facts={"metrics": [chance(model.kept)]})
    checks = check(bundle, model.data.store, [int(row) for row in chosen[:CHECKED]])
    found = {f"deletion {f}": checks["deletion"][f]["value"] for f in ("null", "mean")}
    found["auroc"] = float(averaged([model.kept])["model"][0])
    found["reliable"] = float(checks["reliable"])
    own, at_random = parts(bundle, model.data, chosen, model.cohort)
    known = {name: value for name, value in found.items() if value is not None}
    return known | own, at_random


def probabilities(bundle: Bundle, data: Any, rows: np.ndarray) -> np.ndarray:
    """What a model says of some cases."""
    samples = prepare_samples(bundle.preparations, data.raws, rows)
    with torch.no_grad():
        output = bundle.model(batch_of(bundle.preparations, samples))
        found: np.ndarray = bundle.model.head.probability(output.logits)[:, -1].numpy()
    return found


def chance(kept: pd.DataFrame) -> dict[str, Any]:
    """The AUROC of the held-out cases, by which a model is above chance or not."""
    found = averaged([kept])["model"]
    low, high = np.quantile(found[1:], [0.025, 0.975])
    facts = {"value": float(found[0]), "low": float(low), "high": float(high), "n": len(kept)}
    return {"model": "fused", "metric": "auroc", **facts}


def answers(said: pd.DataFrame, truth: pd.DataFrame, names: list[str]) -> Row:
    """How the answers agree with the generator's."""
    signal = truth["logit"].std() > 0
    own = {n: _correlation(said, truth, f"contribution_{n}") if signal else np.nan for n in names}
    matrices = np.stack([np.asarray(json.loads(one)) for one in said["interaction"]])
    size = np.abs(matrices).sum(axis=(1, 2))
    alone = np.abs(np.diagonal(matrices, axis1=1, axis2=2)).sum(axis=1)
    logit = np.corrcoef(said["log_odds"], truth["logit"])[0, 1] if signal else np.nan
    return {
        **{f"contribution of {name}": value for name, value in own.items()},
        "contributions, worst": min(own.values()),
        "logit": float(logit),
        "interplay": float((size - alone).sum() / size.sum()),
        "alone": float(alone.sum() / size.sum()),
    }


def _correlation(said: pd.DataFrame, truth: pd.DataFrame, column: str) -> float:
    return float(np.corrcoef(said[column], truth[column])[0, 1])


def parts(bundle: Bundle, data: Any, rows: np.ndarray, cohort: Path) -> tuple[Row, Row]:
    """How what is named inside the modalities agrees with the truth, and how any part does."""
    truth = json.loads((cohort / "truth" / "truth.json").read_text())
    lesions = pd.read_parquet(cohort / "truth" / "lesions.parquet").set_index("case_id")
    distractors = pd.read_parquet(cohort / "truth" / "distractors.parquet")
    hits, others, shares, sizes = [], [], [], []
    any_hits, any_shares = [], []
    samples = prepare_samples(bundle.preparations, data.raws, rows)
    for row, sample in zip(rows.tolist(), samples, strict=True):
        case = str(data.cases["case_id"].iloc[row])
        explained = explain_within(bundle, data.store, row, sample).parts
        if regions := explained.get("flair"):
            lesion = lesions.loc[case]
            most = max(regions, key=lambda one: abs(one["value"]))
            hits.append(_hits(most, lesion))
            besides = distractors[distractors["case_id"] == case].to_dict("records")
            others.append(not hits[-1] and any(_hits(most, one) for one in besides))
            any_hits.append(np.mean([_hits(one, lesion) for one in regions]))
        if words := explained.get("report"):
            text = data.store.text("report", row)
            empty = _says_nothing(text)
            told = {id(one): not empty[one["start"]] for one in words}
            strongest = sorted(words, key=lambda one: -abs(one["value"]))[:WORDS]
            shares.append(np.mean([told[id(one)] for one in strongest]))
            any_shares.append(np.mean([*told.values()]))
        sizes.append({one["name"]: abs(one["value"]) for one in explained.get("expression", ())})
    size = pd.DataFrame(sizes).fillna(0.0).mean()
    matters = size.index.isin([f"{name}_rna" for name in truth["informative_genes"]])
    found = auroc(matters.astype(float), size.to_numpy())(np.ones((1, len(size))))
    own = {"lesion": _mean(hits), "distractor": _mean(others)}
    own |= {"words": _mean(shares), "genes": float(found[0])}
    return own, {"lesion": _mean(any_hits), "words": _mean(any_shares), "genes": 0.5}


def _mean(values: list[Any]) -> float:
    return float(np.mean(values)) if values else np.nan


def _hits(region: Mapping[str, Any], lesion: Mapping[str, Any]) -> bool:
    """Whether a region's middle lies within its own size of the lesion, in a slice of it."""
    return lesion["slices_from"] <= region["slice"] < lesion["slices_to"] and all(
        lesion[f"{axis}_from"] - region[size]
        <= region[start] + region[size] / 2
        <= lesion[f"{axis}_to"] + region[size]
        for axis, start, size in (("rows", "row", "height"), ("columns", "column", "width"))
    )


def _says_nothing(text: str) -> np.ndarray:
    """Which characters of a note are of no finding: a finding's sentence may be abbreviated or hold
    a typing error, what the others say is known letter by letter.
    """
    found = np.zeros(len(text), dtype=bool)
    for sentence in (*CHATTER, *chain(*INCIDENTAL), *HISTORY, *HEADINGS):
        for place in re.finditer(re.escape(sentence), text):
            found[slice(*place.span())] = True
    return found


def line(signal: str, of: str, found: list[Row]) -> dict[str, Any]:
    """The line of a signal."""
    table = pd.DataFrame(found)
    cells = {
        name: f"{values.mean():.2f} ({values.min():.2f} to {values.max():.2f})"
        for name, values in table.items()
        if values.notna().any()
    }
    return {"signal": signal, "of": of, "phantoms": len(found), **cells}


def main() -> None:
    """Train what is not there yet, explain and print."""
    parser = parser_of(__doc__, SIGNALS)
    parser.add_argument("--cases", type=int, default=60)
    asked = parser.parse_args()
    lines = []
    for signal in asked.signals.split(","):
        found: dict[str, list[Row]] = {}
        for seed in range(FIRST_SEED, FIRST_SEED + asked.seeds):
            options = {"cases": CASES, "seed": seed, "signal": signal, "distractors": True}
            with warnings.catch_warnings(action="ignore", category=RuntimeWarning):
                one = of_phantom(
                    asked.folder / f"{signal}-{seed}-distractors", options, asked.cases
                )
            for of, row in one.items():
                found.setdefault(of, []).append(row)
            print(json.dumps({"signal": signal, "seed": seed, **one}), flush=True)
        lines += [line(signal, of, rows) for of, rows in found.items()]
    print_table(lines)


if __name__ == "__main__":
    main()
