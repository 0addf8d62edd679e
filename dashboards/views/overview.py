"""Overview: was fusion worth it, how good is the model, and where do its probabilities hold."""

import json
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from dashboards import charts, notes, published
from mmdiag.evaluation.metrics import calibration_bins, roc_points, wilson
from mmdiag.explain.importance import global_importance

DIFFERENCE = "fused-minus-best"
NAMES = {
    "c_index": "C-index",
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "brier": "Brier score",
    "ece": "calibration error",
    "accuracy": "accuracy",
}
SMALLER_IS_BETTER = ("brier", "ece")


def main() -> None:
    """Draw the page."""
    folder = published.run_folder(st.session_state.get("run"))
    metrics = published.table(folder, "metrics.parquet") if folder else None
    if folder is None or metrics is None or metrics.empty:
        st.info(
            "No model was measured on this cohort yet. This command trains one, and picks up a "
            "run that was interrupted:",
            icon=":material/model_training:",
        )
        st.code("mmdiag run --cohort cohort.toml", language="bash")
        return
    modalities = list(published.store(st.session_state["cohort"]).modalities)
    primary = next(
        (name for name in NAMES if name in set(metrics["metric"])), str(metrics["metric"].iloc[0])
    )
    st.markdown(f"#### {verdict(metrics, primary)}".replace("n = ", "n\u00a0=\u00a0"))
    _figures(metrics)
    judged = published.table(folder, "out_of_fold.parquet")
    curve = published.table(folder, "curves.parquet")
    predicted = published.table(folder, "predictions.parquet")
    drawn = [
        _forest(metrics, primary, modalities),
        *_judged_charts(metrics, judged, modalities),
        _curves(curve),
        _leaning(predicted, modalities),
    ]
    drawn = [chart for chart in drawn if chart is not None]
    for start in range(0, len(drawn), 2):
        for column, chart in zip(
            st.columns([11, 10], gap="large"), drawn[start : start + 2], strict=False
        ):
            column.altair_chart(chart, width="stretch", theme="streamlit")
    if judged is None:
        st.caption(
            "Who was judged how is not published yet, so there is no ROC and no calibration: "
            "`mmdiag evaluate --cohort cohort.toml`"
        )
    with st.expander("All metrics as a table"):
        shown = metrics[
            [
                c
                for c in ("model", "metric", "value", "low", "high", "n", "n_positive", "split")
                if c in metrics
            ]
        ].round(4)
        st.dataframe(shown, hide_index=True, width="stretch")
        st.download_button("CSV", shown.to_csv(index=False), "metrics.csv", "text/csv")
    runs = published.runs(st.session_state["cohort"])
    with st.expander(f"Runs of this cohort ({len(runs)})"):
        st.dataframe(
            runs[["run_id", "fusion", "status", "started", "finished", "bundle_id"]],
            hide_index=True,
            width="stretch",
        )


def _forest(metrics: pd.DataFrame, primary: str, modalities: list[str]) -> charts.Drawn:
    rows = metrics[(metrics["metric"] == primary) & (metrics["model"] != DIFFERENCE)].copy()
    rows["label"] = [interval(row) for row in rows.to_dict("records")]
    title = f"{_name(primary)} of each model on the same subjects ({rows['split'].iloc[0]})"
    return charts.forest(
        rows,
        modalities,
        title,
        _name(primary),
        reference=0.5 if primary in ("auroc", "c_index") else None,
    )


def _judged_charts(
    metrics: pd.DataFrame, judged: pd.DataFrame | None, modalities: list[str]
) -> list[charts.Drawn]:
    """ROC and calibration; of a binary answer only."""
    if judged is None or "probability" not in judged or judged["label"].nunique() != 2:
        return []
    judged = judged[judged["label"].notna()]
    own = judged[~judged["model"].str.startswith("baseline:")]
    known = metrics.set_index(["model", "metric"])["value"]
    areas = {
        m: f"{m}, area {known[m, 'auroc']:.2f}"
        for m in own["model"].unique()
        if (m, "auroc") in known.index
    }
    drawn: list[charts.Drawn] = [
        charts.roc(roc_table(own), modalities, "ROC of each model on the same subjects", areas)
    ]
    fused = judged[judged["model"] == "fused"]
    if len(fused):
        off = (
            f" by {known['fused', 'ece']:.2f} on average" if ("fused", "ece") in known.index else ""
        )
        drawn.append(
            charts.calibration(
                calibration_table(fused), f"Calibration: predicted and observed shares differ{off}"
            )
        )
    return drawn


def _curves(curve: pd.DataFrame | None) -> charts.Drawn | None:
    fused = curve[curve["fit"].str.endswith(".fused")] if curve is not None else None
    if fused is None or fused.empty:
        return None
    best = fused.loc[fused.groupby("fit")["valid_loss"].idxmin(), "epoch"]
    return charts.curves(
        fused,
        f"Validation loss is lowest after {best.median():.0f} epochs (median of {len(best)} fits)",
    )


@st.cache_data(show_spinner=False, max_entries=8)
def _leanings(
    size: np.ndarray, present: np.ndarray, names: list[str], subject: list[str]
) -> list[dict[str, Any]]:
    return global_importance(size, present, names, subject=np.asarray(subject))


def _leaning(predicted: pd.DataFrame | None, modalities: list[str]) -> charts.Drawn | None:
    known = [m for m in modalities if predicted is not None and f"contribution_{m}" in predicted]
    if predicted is None or predicted.empty or not known:
        return None
    present = np.asarray([[m in row for m in known] for row in predicted["modalities"].map(list)])
    size = predicted[[f"contribution_{m}" for m in known]].to_numpy(dtype=float)
    rows = pd.DataFrame(
        _leanings(size, present, known, predicted["subject_id"].astype(str).tolist())
    )
    if rows.empty:
        return None
    rows = rows.rename(columns={"modality": "model"}).sort_values("value", ascending=False)
    rows["label"] = [interval(row) for row in rows.to_dict("records")]
    title = (
        f"The fused model leans most on {rows['model'].iloc[0]}: mean size of Shapley values "
        "where a case has it"
    )
    return charts.forest(rows, modalities, title, "mean |contribution|, log-odds")


def verdict(metrics: pd.DataFrame, primary: str) -> str:
    """Whether fusion is worth it on this cohort, in one sentence with the difference, its interval
    and n.
    """
    fused = metrics[(metrics["model"] == "fused") & (metrics["metric"] == primary)]
    difference = metrics[(metrics["model"] == DIFFERENCE) & (metrics["metric"] == primary)]
    if fused.empty:
        return "The run has no fused model."
    if difference.empty:
        return _by_intervals(metrics, fused.iloc[0].to_dict(), primary)
    row = difference.iloc[0].to_dict()
    best = notes.plain(json.loads(row["modalities"])[0])
    chance = f", p = {row['p']:.2g}" if pd.notna(row.get("p")) else ""
    said = (
        f"{row['value']:+.2f} {_name(primary)} over {best} alone ({row['low']:+.2f} to "
        f"{row['high']:+.2f}), n = {row['n']:.0f}{chance}"
    )
    if row["low"] > 0:
        return f"Fusion helps on this cohort: {said}."
    if row["high"] < 0:
        return f"Fusion harms on this cohort: {said}."
    return f"Fusion is not shown to be better than the best single modality: {said}."


def _by_intervals(metrics: pd.DataFrame, fused: dict[str, Any], primary: str) -> str:
    """The verdict where the models were not compared pair by pair: what the intervals say, and no
    more.
    """
    reached = f"{_name(primary)} {interval(fused)}"
    others = [
        name
        for name in metrics["model"].unique()
        if name not in ("fused", DIFFERENCE) and not name.startswith("baseline:")
    ]
    singles = metrics[metrics["model"].isin(others) & (metrics["metric"] == primary)]
    if singles.empty:
        return f"The fused model reaches {reached}; no single modality was measured beside it."
    sign = -1 if primary in SMALLER_IS_BETTER else 1
    best = singles.loc[(sign * singles["value"]).idxmax()].to_dict()
    beside = (
        f"{reached}, beside {notes.plain(best['model'])} alone with {best['value']:.2f} "
        f"({best['low']:.2f} to {best['high']:.2f})"
    )
    apart = fused["low"] > best["high"] or fused["high"] < best["low"]
    if not apart:
        return (
            "Fusion is not shown to differ from the best single modality, the intervals "
            f"overlap: {beside}."
        )
    return (
        f"Fusion {'helps' if sign * (fused['value'] - best['value']) > 0 else 'harms'} on "
        f"this cohort, the intervals lie apart: {beside}."
    )


def _name(metric: str) -> str:
    return NAMES.get(metric, metric)


def interval(row: dict[str, float]) -> str:
    """A value with its interval and n."""
    return f"{row['value']:.2f} ({row['low']:.2f} to {row['high']:.2f}), n = {row['n']:.0f}"


def _figures(metrics: pd.DataFrame) -> None:
    fused = metrics[metrics["model"] == "fused"]
    for column, row in zip(st.columns(max(len(fused), 4)), fused.to_dict("records"), strict=False):
        column.metric(
            _name(row["metric"]),
            f"{row['value']:.2f}",
            help="Of the fused model, with the 95 % bootstrap interval over subjects.",
        )
        column.caption(
            f"{row['low']:.2f} to {row['high']:.2f}, n = {row['n']:.0f}"
            + (f", {row['n_positive']:.0f} positive" if row["n_positive"] else "")
        )


def roc_table(judged: pd.DataFrame) -> pd.DataFrame:
    """Points of the ROC curve of each model."""
    parts = []
    for model, rows in judged.groupby("model", sort=False):
        x, y = roc_points(rows["label"].to_numpy(float), rows["probability"].to_numpy(float))
        parts.append(
            pd.DataFrame(
                {
                    "model": model,
                    "false_positive_rate": x,
                    "true_positive_rate": y,
                    "order": range(len(x)),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def calibration_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean predicted and observed share of each bin, with Wilson's interval and its n."""
    place = calibration_bins(rows["probability"].to_numpy(float))
    grouped = rows.groupby(place)
    table = pd.DataFrame(
        {
            "predicted": grouped["probability"].mean(),
            "observed": grouped["label"].mean(),
            "n": grouped.size(),
        }
    )
    bounds = np.asarray(
        [wilson(share, int(n)) for share, n in zip(table["observed"], table["n"], strict=True)]
    )
    return table.assign(low=bounds[:, 0], high=bounds[:, 1])


main()
