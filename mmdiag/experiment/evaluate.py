"""What a run found: metrics with intervals for every model on the same subjects, the verdict on
fusion, and the predictions of every accepted case.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

from mmdiag.cohort.labels import label_values
from mmdiag.contracts.internal_tables import validate_predictions
from mmdiag.evaluation.metrics import evaluate as measure
from mmdiag.evaluation.metrics import paired_difference
from mmdiag.experiment import mlflow_tracking as mirror
from mmdiag.experiment.fit import fits
from mmdiag.experiment.run import FUSED, Run, RunData, open_data
from mmdiag.inference.bundle import Bundle
from mmdiag.inference.columns import prediction_columns
from mmdiag.storage.ledger import Ledger
from mmdiag.storage.tables import write_parquet

DIFFERENCE = "fused-minus-best"
PREVALENCE, AVAILABILITY = "baseline:prevalence", "baseline:availability"
LEAST_CASES, LEAST_OF_A_KIND = (
    20,
    5,
    # of an availability pattern, and of its rarer class or its events: of fewer, a number would
    # only
    # mislead
)


def evaluate(folder: Path) -> list[dict[str, Any]]:
    """Measure every model of a run, write metrics.parquet, availability.parquet and
    out_of_fold.parquet, and return the metrics of interface.md 3.
    """
    run, data = Run.open(folder), open_data(folder)
    judged = _judged(run, data)
    write_parquet(folder / "out_of_fold.parquet", judged)
    settings = run.config.evaluation
    rows: list[dict[str, Any]] = []
    for model, table in judged.groupby("model", sort=False):
        facts = {
            "model": str(model),
            "fusion": run.fusion if model == FUSED else None,
            "modalities": _modalities(data, str(model)),
            "split": _split(run),
        }
        rows += [{**facts, **metric} for metric in _measure(data, table, settings.resamples)]
    rows += _difference(run, data, judged, rows)
    write_parquet(folder / "availability.parquet", _by_availability(run, data, judged))
    write_parquet(
        folder / "metrics.parquet",
        pd.DataFrame(rows).assign(modalities=[json.dumps(row["modalities"]) for row in rows]),
    )
    curves = [pd.read_parquet(run.fit_folder(name) / "curve.parquet") for name in fits(folder)]
    write_parquet(folder / "curves.parquet", pd.concat(curves, ignore_index=True))
    return rows


def _split(run: Run) -> str:
    return "cross-validation" if "folds" in run.asked["split"] else "test"


def _modalities(data: RunData, model: str) -> list[str]:
    return (
        list(data.store.modalities)
        if model == FUSED
        else [model]
        if model in data.store.modalities
        else []
    )


def _judged(run: Run, data: RunData) -> pd.DataFrame:
    """case_id, subject_id, model, label (or time, event), probability columns: one row a judged
    case and model.
    """
    parts = json.loads((data.store.folder / "split.json").read_text())["part"]
    where = data.cases["subject_id"].map(parts)
    known = np.zeros(len(data.cases), dtype=bool)
    known[data.labelled] = True
    judged = (
        known & (where.notna() if "folds" in run.asked["split"] else where == "test").to_numpy()
    )
    several = [f"label_{name}" for name in data.store.task.labels]
    facts = data.cases.loc[judged, ["case_id", "subject_id", "label", "time", "event", *several]]
    columns = data.store.task.probability_columns
    tables = []
    for name in (name for name in fits(run.folder) if not name.startswith("all.")):
        tables.append(
            run.predictions(name)[["case_id", *columns]]
            .merge(facts, on="case_id")
            .assign(model=name.split(".", 1)[1], part=name.split(".", 1)[0])
        )
    found = pd.concat(tables, ignore_index=True)
    order = {model: place for place, model in enumerate(dict.fromkeys(found["model"]))}
    baselines = _baselines(data, where, judged, columns, facts)
    return pd.concat(
        [
            found.sort_values(
                ["model", "case_id"], key=lambda c: c.map(order) if c.name == "model" else c
            ),
            *baselines,
        ],
        ignore_index=True,
    )


def _baselines(
    data: RunData, where: pd.Series, judged: np.ndarray, columns: list[str], facts: pd.DataFrame
) -> list[pd.DataFrame]:
    """What a model must beat: the cohort's prevalence, and a logistic regression that sees only
    which modalities are there.
    """
    if data.store.task.survival:
        return [
            facts.assign(model=PREVALENCE, part="", probability=0.5),
            *_by_group(data.cases, data.labelled, where, judged, facts),
        ]
    labels = data.cases["label"].to_numpy(float)
    known = data.labelled
    if data.store.task.multilabel:
        shares = np.nanmean(label_values(data.cases, data.store.task)[known], axis=0)
        return [facts.assign(model=PREVALENCE, part="", **dict(zip(columns, shares, strict=True)))]
    shares = (
        [np.mean(labels[known] == c) for c in range(len(columns))]
        if len(columns) > 1
        else [np.mean(labels[known])]
    )
    constant = facts.assign(model=PREVALENCE, part="", **dict(zip(columns, shares, strict=True)))
    has = np.stack([data.store.present(name) for name in data.store.modalities], axis=1).astype(
        float
    )
    predicted = np.zeros((len(data.cases), len(columns)))
    for part in sorted(where[judged].unique()):
        inside = judged & (where == part).to_numpy()
        others = [row for row in known if where.iloc[row] != part]
        fitted = LogisticRegression().fit(has[others], labels[others].astype(int))
        chances = fitted.predict_proba(has[inside])
        predicted[inside] = chances[:, 1:] if len(columns) == 1 else chances
    return [
        constant,
        facts.assign(
            model=AVAILABILITY,
            part="",
            **{column: predicted[judged, i] for i, column in enumerate(columns)},
        ),
    ]


def _by_group(
    cases: pd.DataFrame,
    labelled: np.ndarray,
    where: pd.Series,
    judged: np.ndarray,
    facts: pd.DataFrame,
) -> list[pd.DataFrame]:
    """What a group column alone says of survival, such as the kind of cancer: events a time of the
    group's other cases, as a chance within the median time.
    """
    found = []
    known = np.zeros(len(cases), dtype=bool)
    known[labelled] = True
    median = float(cases.loc[known, "time"].median())
    for column in (
        name for name in map(str, cases) if name.startswith("group_") and cases[name].notna().any()
    ):
        group, rate = cases[column].fillna("").astype(str), np.zeros(len(cases))
        for part in sorted(where[judged].unique()):
            others = cases[known & (where != part).to_numpy()]
            sums = others.groupby(group[others.index])[["event", "time"]].sum()
            overall = float(sums["event"].sum() / sums["time"].sum())
            inside = judged & (where == part).to_numpy()
            rate[inside] = (
                group[inside].map(sums["event"] / sums["time"].clip(lower=1e-9)).fillna(overall)
            )
        found.append(
            facts.assign(
                model=f"baseline:{column.removeprefix('group_')}",
                part="",
                probability=1 - np.exp(-rate[judged] * median),
            )
        )
    return found


def _measure(data: RunData, table: pd.DataFrame, resamples: int) -> list[dict[str, Any]]:
    kind = data.store.task.kind
    columns = data.store.task.probability_columns
    probability = table[columns].to_numpy(float)
    return measure(
        label_values(table, data.store.task),
        probability if len(columns) > 1 else probability[:, 0],
        kind=kind,
        subject=table["subject_id"].to_numpy(),
        time=table["time"].to_numpy(float),
        event=table["event"].to_numpy(float),
        labels=data.store.task.labels,
        stratum=_stratum(data, table["case_id"]) if kind == "survival" else None,
        fold=_fold(data, table),
        resamples=resamples,
    )


def _by_availability(run: Run, data: RunData, judged: pd.DataFrame) -> pd.DataFrame:
    """Every metric of the fused model on the cases of each availability pattern (`flair+report`),
    in columns like those of metrics.parquet.

    A pattern with too few cases has its n, and no value.
    """
    fused = judged[judged["model"] == FUSED]
    names = [metric["metric"] for metric in _measure(data, fused, 1)]
    place = {case: row for row, case in enumerate(data.cases["case_id"])}
    at = fused["case_id"].map(place).to_numpy()
    has = np.stack([data.store.present(name)[at] for name in data.store.modalities], axis=1)
    rows = []
    for pattern in np.unique(has, axis=0)[::-1]:
        part, at_hand = (
            fused[(has == pattern).all(axis=1)],
            np.asarray(list(data.store.modalities))[pattern].tolist(),
        )
        facts = {
            "model": FUSED,
            "fusion": run.fusion,
            "modalities": json.dumps(at_hand),
            "split": _split(run),
            "availability": "+".join(at_hand),
        }
        positive, enough = _enough(data, part)
        unknown = {
            "value": np.nan,
            "low": np.nan,
            "high": np.nan,
            "n": len(part),
            "n_positive": positive,
        }
        found = (
            _measure(data, part, run.config.evaluation.resamples)
            if enough
            else [{"metric": name, **unknown} for name in names]
        )
        rows += [{**facts, **metric} for metric in found]
    return pd.DataFrame(rows)


def _enough(data: RunData, part: pd.DataFrame) -> tuple[int, bool]:
    """How many of some cases are positive (0 where that is no question), and whether the cases are
    enough for a metric.
    """
    column = {"binary": "label", "survival": "event"}.get(data.store.task.kind)
    if column is None:
        return 0, len(part) >= LEAST_CASES
    positive = int(part[column].sum())
    rarer = positive if column == "event" else min(positive, len(part) - positive)
    return positive, len(part) >= LEAST_CASES and rarer >= LEAST_OF_A_KIND


def _stratum(data: RunData, case_ids: pd.Series) -> np.ndarray | None:
    """Site of each case, else its first group: what a survival model has to know more than; None
    where the cohort has neither.
    """
    for name in (
        "site",
        *(column for column in map(str, data.cases) if column.startswith("group_")),
    ):
        if data.cases[name].notna().any():
            return (
                data.cases.set_index("case_id")[name]
                .reindex(case_ids)
                .fillna("")
                .astype(str)
                .to_numpy()
            )
    return None


def _fold(data: RunData, table: pd.DataFrame) -> np.ndarray | None:
    """By which fold's model each case is judged, where that matters: of survival."""
    return (
        table["subject_id"].map(dict(data.parts)).to_numpy() if data.store.task.survival else None
    )


def _difference(
    run: Run, data: RunData, judged: pd.DataFrame, rows: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """The fused model minus the best single modality, on the same resamples. The best is chosen on
    the same cases, which favours it.
    """
    kind, metric = (
        data.store.task.kind,
        "c_index" if data.store.task.survival else "auroc",
    )
    singles = {
        row["model"]: row["value"]
        for row in rows
        if row["metric"] == metric and row["model"] in data.store.modalities
    }
    if not singles:
        return []
    best, columns = (
        max(singles, key=lambda name: singles[name]),
        data.store.task.probability_columns,
    )
    pair = judged[judged["model"] == FUSED].merge(
        judged[judged["model"] == best][["case_id", *columns]], on="case_id", suffixes=("", "_best")
    )
    first, second = (
        pair[[f"{column}{end}" for column in columns]].to_numpy(float) for end in ("", "_best")
    )
    found = paired_difference(
        label_values(pair, data.store.task),
        first if len(columns) > 1 else first[:, 0],
        second if len(columns) > 1 else second[:, 0],
        metric=metric,
        kind=kind,
        subject=pair["subject_id"].to_numpy(),
        time=pair["time"].to_numpy(float),
        event=pair["event"].to_numpy(float),
        fold=_fold(data, pair),
        seed=0,
        resamples=run.config.evaluation.resamples,
    )
    return [
        {
            "model": DIFFERENCE,
            "fusion": run.fusion,
            "modalities": [best],
            "split": _split(run),
            "metric": metric,
            **found,
        }
    ]


def predictions(folder: Path) -> pd.DataFrame:
    """One row an accepted case: out of fold where it was judged, else by the run's bundle (columns
    of interface.md 4, and `version`).
    """
    run, data = Run.open(folder), open_data(folder)
    fused = [name for name in fits(folder) if name.endswith(f".{FUSED}")]
    found = pd.concat(
        [
            run.predictions(name).assign(
                part=name.split(".", 1)[0],
                bundle_id=run.fitted(name)["bundle_id"],
                scored_at=run.fitted(name)["finished"],
            )
            for name in fused
        ]
    )
    found = data.cases[["case_id", "subject_id", "as_of", "version"]].merge(
        found, on="case_id", how="inner"
    )
    bundle = Bundle.load(folder.parent.parent / run.fitted(fused[-1])["bundle"])
    parts = found["subject_id"].map(
        json.loads((data.store.folder / "split.json").read_text())["part"]
    )
    trained = found["subject_id"].map(bundle.learned_from)
    role = np.where(trained, "train", "new").astype(object)
    role[found["part"].str.startswith("fold-").to_numpy()] = "out-of-fold"
    role[((found["part"] == "test") & (parts == "test")).to_numpy()] = "test"
    present = {name: data.store.present(name) for name in data.store.modalities}
    place = {case: row for row, case in enumerate(data.cases["case_id"])}
    found["role"] = role
    found["modalities"] = [
        [name for name in present if present[name][place[case]]] for case in found["case_id"]
    ]
    met = {
        name.split(".", 1)[0]: {
            frozenset(pattern) for pattern in run.fitted(name).get("patterns", ())
        }
        for name in fused
    }
    found["abstained"] = [
        bool(met[part]) and frozenset(names) not in met[part]
        for part, names in zip(found["part"], found["modalities"], strict=True)
    ]
    return found.drop(columns="part")


def finish(folder: Path, ledger: Ledger) -> dict[str, Any]:
    """Publish a run: predictions and modality explanations as Parquet, everything in the ledger.

    Returns:
        `split`, `bundle`, `metrics` and `predictions` of the answer in interface.md 3, and
        `availability`.
    """
    run = Run.open(folder)
    table = predictions(folder)
    validate_predictions(
        table[prediction_columns(table)],
        exclusive=not open_data(folder).store.task.multilabel,
    )
    write_parquet(folder / "predictions.parquet", table[prediction_columns(table)])
    weights = [c for c in table.columns if c.startswith(("weight_", "contribution_"))]
    write_parquet(
        folder / "explanations" / "modality.parquet",
        table[["case_id", *weights, "attention", "base"]],
    )
    name = next(name for name in fits(folder) if name in ("all.fused", "test.fused"))
    final, fusion = run.fitted(name), run.config_of(name).fusion
    bundle = {"id": final["bundle_id"], "path": str(run.workspace.path / final["bundle"])}
    metrics = metrics_of(folder)
    warnings = {name: found for name in fits(folder) if (found := run.fitted(name).get("warnings"))}
    finished = run.asked.get("finished") or max(str(stamp) for stamp in table["scored_at"])
    run = run.update(status="done", bundle=bundle, finished=finished, warnings=warnings)
    ledger.record_bundle(
        bundle["id"],
        final["bundle"],
        run.asked["run_id"],
        run.asked["cohort"],
        {"fusion": fusion, "recipe": run.config.recipe},
    )
    ledger.record_run(
        run.asked["run_id"],
        "run",
        run.asked["cohort"],
        "done",
        run.asked["config"],
        str(folder.relative_to(run.workspace.path)),
        bundle_id=bundle["id"],
        started=run.asked["started"],
        finished=run.asked["finished"],
    )
    ledger.record_metrics(run.asked["run_id"], metrics)
    mirror.publish(run, bundle["id"], metrics)
    ledger.record_curves(run.asked["run_id"], pd.read_parquet(folder / "curves.parquet"))
    ledger.record_predictions(run.asked["cohort"], table[[*prediction_columns(table), "version"]])
    return {
        "split": run.asked["split"],
        "bundle": bundle,
        "metrics": metrics,
        "availability": availability_of(folder),
        "predictions": str(folder / "predictions.parquet"),
    }


def metrics_of(folder: Path) -> list[dict[str, Any]]:
    """The metrics of an evaluated run."""
    return _records(folder / "metrics.parquet")


def availability_of(folder: Path) -> list[dict[str, Any]]:
    """The metrics of an evaluated run's fused model on each availability pattern; `value` is None
    where a pattern has too few cases.
    """
    return _records(folder / "availability.parquet")


def _records(path: Path) -> list[dict[str, Any]]:
    rows = pd.read_parquet(path).replace({np.nan: None}).to_dict("records")
    return [
        {
            **{str(key): value for key, value in row.items()},
            "modalities": json.loads(row["modalities"]),
        }
        for row in rows
    ]
