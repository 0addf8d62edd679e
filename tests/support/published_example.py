"""A small workspace as a finished run leaves it, made of synthetic arrays in a second: for what is
read and drawn, not for what is learned.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mmdiag.explain.kept import explanation_path, keep
from mmdiag.explain.parts import CaseParts
from mmdiag.readers.imaging.display import DisplaySlices
from mmdiag.reasons import REASONS
from mmdiag.storage.display.spool import DisplaySpool
from mmdiag.storage.ledger import Ledger
from mmdiag.workspace import Workspace

NAME, RUN, BUNDLE, SHARD = "glioma-example", "r-example", "b-example", "s0"
KINDS = {
    "flair": "image",
    "t1gd": "image",
    "report": "text",
    "expression": "table",
    "ecg": "signal",
}
TITLES = {"flair": "FLAIR", "t1gd": "T1 post-contrast", "report": "Radiology report", "ecg": "ECG"}
NOTE = (
    "FINDINGS:\nIncrease in enhancement of the left frontal lesion. No mass effect. <b>No</b> "
    "haemorrhage.\nIMPRESSION:\nProgression is likely.\n"
)
SLICES, SIDE, GENES = 7, 64, 30
DISPLAYED = 2 * SLICES - 1  # slices that are looked at
SECONDS, RATE_HZ = 4, 250.0


@dataclass(frozen=True)
class Example:
    """A published workspace, and the tables that it was made of."""

    workspace: Workspace
    cases: pd.DataFrame
    predictions: pd.DataFrame


def publish(
    path: Path, *, cases: int = 60, seed: int = 0, trained: bool = True, explained: bool = True
) -> Example:
    """Write a cohort of four modalities, with what is missing and refused; and, if `trained`, its
    run.
    """
    rng = np.random.default_rng(seed)
    workspace = Workspace(path)
    table = _cases(rng, cases)
    _write_cohort(workspace, table, rng)
    ledger = Ledger(f"sqlite:///{path / 'ledger.db'}")
    _record_cohort(ledger, table)
    predictions = _predictions(table, rng) if trained else pd.DataFrame()
    if trained:
        _write_run(workspace.runs / RUN, table, predictions, rng, explained)
        _record_run(ledger, workspace.runs / RUN, predictions)
    ledger.engine.dispose()  # all is in the file then, and nothing beside it
    return Example(workspace, table, predictions)


def _cases(rng: np.random.Generator, number: int) -> pd.DataFrame:
    keys = [f"C-{i:04d}" for i in range(number)]
    table = pd.DataFrame(
        {
            "case_id": keys,
            "subject_id": keys,
            "site": rng.choice(["HT", "DU", "TQ"], number),
            "version": "v1",
        }
    )
    table["as_of"] = pd.Timestamp("2024-01-05") + pd.to_timedelta(
        rng.integers(0, 500, number), unit="D"
    )
    table["label"] = np.where(np.arange(number) % 9 == 8, np.nan, rng.integers(0, 2, number))
    table["time"] = table["event"] = np.nan
    for place, (name, kind) in enumerate(KINDS.items()):
        table[f"has_{name}"] = has = (rng.random(number) > 0.25) | (np.arange(number) % 4 == place)
        table[f"shard_{name}"] = SHARD
        count = {"image": SLICES, "signal": int(SECONDS * RATE_HZ)}.get(kind, 1)
        table[f"start_{name}"] = (np.cumsum(has) - 1) * count
        table[f"count_{name}"] = np.where(has, count, 0)
    return table


def _write_cohort(workspace: Workspace, cases: pd.DataFrame, rng: np.random.Generator) -> None:
    folder = workspace.cohort(NAME)
    shard = folder / "shards" / SHARD
    shard.mkdir(parents=True)
    cases.to_parquet(folder / "cases.parquet", index=False)
    task = {"kind": "binary", "label": "progressed_24m", "positive": "1", "classes": ["not 1", "1"]}
    task |= {"title": "Progression within 24 months"}
    task |= {"class_names": {"0": "stable", "1": "progresses"}}
    described = {"name": NAME, "task": task, "modalities": KINDS, "hash": "sha256:example"}
    described |= {"titles": TITLES, "rates_hz": {"ecg": RATE_HZ}}
    (folder / "description.json").write_text(json.dumps(described))
    (folder / "columns_expression.json").write_text(
        json.dumps([f"GENE{i:02d}_rnaseq" for i in range(GENES)])
    )
    for name in ("flair", "t1gd"):
        heads = [_head(rng) for _ in range(int(cases[f"has_{name}"].sum()))]
        np.save(shard / f"{name}.npy", np.concatenate(heads))
        if name == "flair":  # the other one stands for an ingestion of an earlier version
            _write_displays(shard, name, cases.loc[cases[f"has_{name}"], "case_id"], heads)
    signals = [_heartbeats(rng) for _ in range(int(cases["has_ecg"].sum()))]
    np.save(shard / "ecg.npy", np.concatenate(signals))
    known = cases[cases["has_report"]]
    pd.DataFrame({"case_id": known["case_id"], "text": NOTE}).to_parquet(
        shard / "report.parquet", index=False
    )
    np.save(
        shard / "expression.npy",
        rng.normal(size=(int(cases["has_expression"].sum()), GENES)).astype(np.float32),
    )


def _write_displays(shard: Path, name: str, keys: pd.Series, heads: list[np.ndarray]) -> None:
    """What is looked at of each image: twice as many rows, columns and nearly slices as its array,
    of 16 bits.
    """
    with DisplaySpool(shard.parent) as spool:
        for key, head in zip(keys, heads, strict=True):
            found = DisplaySlices()
            for number in range(DISPLAYED):
                plane = head[number // 2].repeat(2, axis=0).repeat(2, axis=1)
                found.add(number, plane.astype(np.uint16) * 4 + 100, 0.25, -25.0)
            said = {"orientation": "HPL", "side": "", "series": "AX FLAIR", "hounsfield": False}
            said |= {"slice_mm": 2.5, "row_mm": 1.0, "column_mm": 1.0, "ends_mm": [-15.0, 15.0]}
            said |= {"windows": [[20.0, 150.0]], "range": [0.0, 200.0], "modality": "MR"}
            said |= {"array_slices": list(range(0, DISPLAYED, 2))}
            said |= {"array_inside": [0, 0, SIDE, SIDE]}
            content = np.frombuffer(found.content, np.uint8)
            spool.keep(key, name, {**found.facts(), **said}, content)
        spool.write(shard, dict.fromkeys(keys, "v1"), [(key, name) for key in keys])


def _heartbeats(rng: np.random.Generator) -> np.ndarray:
    """Two channels of int16 samples."""
    times = np.arange(int(SECONDS * RATE_HZ)) / RATE_HZ
    beat = np.exp(-(((times % 0.8) - 0.3) ** 2) / 0.0004)
    noise = rng.normal(0, 0.03, (2, len(times)))
    return (12_000 * (np.stack([beat, -0.6 * beat]) + noise).T).astype(np.int16)


def _head(rng: np.random.Generator) -> np.ndarray:
    y, x = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    inside = (x / 0.7) ** 2 + (y / 0.85) ** 2 < 1
    spot = (
        110
        * np.exp(-((x - 0.3) ** 2 + (y + 0.2) ** 2) / 0.03)
        * np.exp(-((np.arange(SLICES) - 3) ** 2) / 4)[:, None, None]
    )
    noise = rng.normal(0, 6, (SLICES, SIDE, SIDE))
    return np.clip(np.where(inside, 70 + spot + noise, 2), 0, 255).astype(np.uint8)


def _record_cohort(ledger: Ledger, cases: pd.DataFrame) -> None:
    present = {name: int(cases[f"has_{name}"].sum()) for name in KINDS}
    modalities = {
        name: {
            "kind": kind,
            "present": present[name],
            "absent": len(cases) - present[name],
            "quarantined": 0,
        }
        for name, kind in KINDS.items()
    }
    counts = {
        "in": len(cases) + 2,
        "accepted": len(cases),
        "quarantined": 2,
        "new": len(cases) + 2,
        "labelled": int(cases["label"].notna().sum()),
    }
    ledger.record_cohort(NAME, "sha256:example", {"kind": "binary"}, modalities, counts)
    keys = cases[["case_id", "subject_id"]]
    ledger.record_verdicts(NAME, keys.assign(version="v1", verdict="accepted", modalities="[]"))
    refused = [
        ("X-0001", "", "no_modality"),
        ("X-0002", "", "patient_mismatch"),
        ("C-0001", "t1gd", "truncated"),
        ("C-0002", "report", "not_text"),
    ]
    table = pd.DataFrame(refused, columns=["case_id", "modality", "code"]).assign(
        detail="1 of 7 files", file_sha256=""
    )
    ledger.record_quarantine(
        NAME,
        table.assign(
            rule=[REASONS[c].rule for c in table["code"]],
            cure=[REASONS[c].cure for c in table["code"]],
        ),
    )
    held = [
        ("cases", "case_id is unique", "case_id", "block", 62, 0),
        ("notes", "text is not blank", "text", "quarantine", 47, 1),
    ]
    columns = ["contract", "rule", "column", "severity", "checked", "failed"]
    ledger.record_contracts(
        NAME,
        pd.DataFrame(held, columns=columns).assign(
            why="A case that is counted twice is learned from twice."
        ),
    )


def _predictions(cases: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    signal = np.nan_to_num(cases["label"].to_numpy(float), nan=0.5) - 0.5
    table = cases[["case_id", "subject_id", "as_of", "version"]].assign(
        bundle_id=BUNDLE, abstained=False, scored_at="2024-06-07T08:00:00+00:00"
    )
    total = np.full(len(cases), 0.1)
    for name in KINDS:
        moved = np.where(cases[f"has_{name}"], rng.normal(0, 0.7, len(cases)) + signal, 0.0)
        table[f"contribution_{name}"] = moved
        total += moved
    table["probability"] = 1 / (1 + np.exp(-total))
    table["predicted"] = np.where(table["probability"] >= 0.5, "1", "not 1")
    table["role"] = np.where(cases["label"].notna(), "out-of-fold", "new")
    table["modalities"] = [
        [name for name in KINDS if row[f"has_{name}"]] for row in cases.to_dict("records")
    ]
    return table


def _write_run(
    folder: Path,
    cases: pd.DataFrame,
    predictions: pd.DataFrame,
    rng: np.random.Generator,
    explained: bool,
) -> None:
    folder.mkdir(parents=True)
    run = {
        "run_id": RUN,
        "command": "run",
        "cohort": NAME,
        "status": "done",
        "config": {"fusion": "modality_attention"},
        "split": {"folds": 5},
    }
    run |= {
        "bundle": {"id": BUNDLE, "path": "bundles/b-example"},
        "started": "2024-06-07T08:00:00+00:00",
        "finished": "2024-06-07T08:04:00+00:00",
    }
    (folder / "run.json").write_text(json.dumps(run))
    predictions.drop(columns="version").to_parquet(folder / "predictions.parquet", index=False)
    known = predictions[cases["label"].notna()].assign(label=cases["label"].dropna())
    logit = np.log(known["probability"] / (1 - known["probability"]))
    noisy = {"fused": 0.0, "flair": 1.2, "t1gd": 1.6, "report": 2.0, "expression": 3.0, "ecg": 2.5}
    parts = [
        known.assign(
            model=name,
            probability=1 / (1 + np.exp(-(logit + rng.normal(0, 1, len(known)) * noise))),
        )
        for name, noise in noisy.items()
    ]
    judged = pd.concat(
        [*parts, known.assign(model="baseline:prevalence", probability=known["label"].mean())],
        ignore_index=True,
    )
    judged[["case_id", "subject_id", "model", "label", "probability"]].to_parquet(
        folder / "out_of_fold.parquet", index=False
    )
    pd.DataFrame(metric_rows(judged)).to_parquet(folder / "metrics.parquet", index=False)
    epochs = np.arange(1, 31)
    curves = [
        pd.DataFrame(
            {
                "fit": f"fold-{k}.fused",
                "epoch": epochs,
                "train_loss": 0.4 + 0.4 * np.exp(-epochs / 9),
                "valid_metric": 0.7,
            }
        ).assign(valid_loss=lambda t, k=k: t["train_loss"] + 0.004 * t["epoch"] + 0.01 * k)
        for k in range(5)
    ]
    pd.concat(curves, ignore_index=True).to_parquet(folder / "curves.parquet", index=False)
    _write_explanations(
        Workspace(folder.parents[1]), folder / "explanations", cases, predictions, rng, explained
    )


def metric_rows(judged: pd.DataFrame) -> list[dict[str, Any]]:
    """AUROC and Brier score with an interval of fixed width, and the paired difference: their form
    is meant, not their numbers.
    """
    rows = []
    for model, table in judged.groupby("model", sort=False):
        label, p = table["label"].to_numpy(float), table["probability"].to_numpy(float)
        pairs = p[label == 1][:, None] - p[label == 0][None]
        auroc = float(np.mean(np.where(pairs == 0, 0.5, pairs > 0)))
        for metric, value in (("auroc", auroc), ("brier", float(np.mean((p - label) ** 2)))):
            rows.append(
                {
                    "model": model,
                    "metric": metric,
                    "value": value,
                    "low": max(0.0, value - 0.09),
                    "high": min(1.0, value + 0.09),
                }
            )
    best = {row["model"]: row["value"] for row in rows if row["metric"] == "auroc"}
    gain = best["fused"] - best["flair"]
    rows.append(
        {
            "model": "fused-minus-best",
            "metric": "auroc",
            "value": gain,
            "low": gain - 0.07,
            "high": gain + 0.07,
        }
    )
    named = {"fused": list(KINDS), "fused-minus-best": ["flair"]}
    shared = {
        "fusion": "modality_attention",
        "split": "cross-validation",
        "n": int((judged["model"] == "fused").sum()),
        "n_positive": 25,
    }
    return [
        row | shared | {"modalities": json.dumps(named.get(str(row["model"]), [row["model"]]))}
        for row in rows
    ]


def _write_explanations(
    workspace: Workspace,
    folder: Path,
    cases: pd.DataFrame,
    predictions: pd.DataFrame,
    rng: np.random.Generator,
    explained: bool,
) -> None:
    folder.mkdir(parents=True)
    has = cases[[f"has_{name}" for name in KINDS]].to_numpy(bool)
    weights = rng.random(has.shape) * has
    weights /= weights.sum(axis=1, keepdims=True)
    table = predictions[["case_id", *(f"contribution_{name}" for name in KINDS)]].assign(base=0.1)
    table = table.assign(**{f"weight_{name}": weights[:, k] for k, name in enumerate(KINDS)})
    attention = rng.random((len(cases), len(KINDS), len(KINDS))) * has[:, :, None] * has[:, None]
    attention /= np.maximum(attention.sum(axis=2, keepdims=True), 1e-9)
    table["attention"] = [json.dumps(square.round(3).tolist()) for square in attention]
    table.to_parquet(folder / "modality.parquet", index=False)
    for row in cases.to_dict("records") if explained else []:
        found = CaseParts()
        for name in ("flair", "t1gd"):
            if row[f"has_{name}"]:
                found.parts[name] = regions(rng)
        if row["has_report"]:
            spans = [(10, 33, 0.6), (34, 64, 0.2), (66, 80, -0.5)]
            found.parts["report"] = [{"start": a, "end": b, "value": v} for a, b, v in spans]
        if row["has_expression"]:
            found.parts["expression"] = [
                {
                    "name": f"GENE{i:02d}_rnaseq",
                    "z": 1.5,
                    "percentile": 93.0,
                    "among": {"not 1": [5.0, 40.0, 80.0], "1": [20.0, 60.0, 95.0]},
                    "value": 0.2 - 0.02 * i,
                }
                for i in range(20)
            ]
            found.groups["expression"] = [
                {"name": f"PATHWAY_{i}", "value": 0.3 - 0.1 * i} for i in range(6)
            ]
        if row["has_ecg"]:
            found.parts["ecg"] = windows(rng)
        there = [name for name in KINDS if row[f"has_{name}"]]
        matrix = np.diag(np.full(len(there), 0.4)) + 0.05
        found.interaction.update({"modalities": there, "matrix": matrix.tolist()})
        keep(explanation_path(workspace, BUNDLE, row["case_id"], "v1"), row["case_id"], found)


def regions(rng: np.random.Generator) -> list[dict[str, float]]:
    """The effect of each of the 64 cells of every slice."""
    return [
        {
            "slice": cut,
            "row": 8 * row,
            "column": 8 * column,
            "height": 8,
            "width": 8,
            "value": float(rng.normal()),
        }
        for cut in range(SLICES)
        for row in range(8)
        for column in range(8)
    ]


def windows(rng: np.random.Generator) -> list[dict[str, float]]:
    """The effect of each of ten windows of a signal."""
    edges = np.linspace(0, SECONDS, 11)
    return [
        {"start_s": float(start), "end_s": float(end), "value": float(value)}
        for start, end, value in zip(edges[:-1], edges[1:], rng.normal(0, 0.2, 10), strict=True)
    ]


def answer_again(workspace: Workspace, predictions: pd.DataFrame) -> None:
    """Other predictions of the run, in its file and in the ledger alike."""
    predictions.to_parquet(workspace.runs / RUN / "predictions.parquet", index=False)
    ledger = Ledger(workspace.ledger_url)
    ledger.record_predictions(NAME, predictions.assign(version="v1"))
    ledger.engine.dispose()


def _record_run(ledger: Ledger, folder: Path, predictions: pd.DataFrame) -> None:
    asked = json.loads((folder / "run.json").read_text())
    ledger.record_run(
        RUN,
        "run",
        NAME,
        "done",
        asked["config"],
        f"runs/{RUN}",
        bundle_id=BUNDLE,
        started=asked["started"],
        finished=asked["finished"],
    )
    metrics = pd.read_parquet(folder / "metrics.parquet").to_dict("records")
    ledger.record_metrics(
        RUN, [{**row, "modalities": json.loads(row["modalities"])} for row in metrics]
    )
    ledger.record_bundle(BUNDLE, f"bundles/{BUNDLE}", RUN, NAME, {"fusion": "modality_attention"})
    ledger.record_predictions(NAME, predictions)
