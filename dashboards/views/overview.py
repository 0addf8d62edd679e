"""Overview: was fusion worth it, how good is the model, and where do its probabilities hold."""

import json

import numpy as np
import pandas as pd
import streamlit as st

from dashboards import charts, published
from mmdiag.evaluation import calibration_bins, roc_points, wilson

DIFFERENCE = "fused-minus-best"
NAMES = {
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "brier": "Brier score",
    "ece": "calibration error",
    "c_index": "C-index",
    "accuracy": "accuracy",
}


def main() -> None:
    """Draw the page."""
    folder = published.run_folder(st.session_state.get("run"))
    metrics = published.table(folder, "metrics.parquet") if folder else None
    if folder is None or metrics is None:
        st.info("No model was trained on this cohort yet.", icon=":material/model_training:")
        st.code("mmdiag run --cohort cohort.toml", language="bash")
        return
    modalities = list(published.store(st.session_state["cohort"]).modalities)
    primary = "c_index" if "c_index" in set(metrics["metric"]) else "auroc"
    st.markdown(f"#### {verdict(metrics, primary)}")
    _figures(metrics)
    left, right = st.columns([11, 10], gap="large")
    rows = metrics[(metrics["metric"] == primary) & (metrics["model"] != DIFFERENCE)].copy()
    rows["label"] = [interval(row) for row in rows.to_dict("records")]
    split = str(rows["split"].iloc[0])
    judged = published.table(folder, "out_of_fold.parquet")
    with left:
        title = f"{NAMES[primary]} on the same subjects ({split})"
        st.altair_chart(charts.forest(rows, modalities, title, NAMES[primary], reference=0.5), width="stretch", theme="streamlit")
    with right:
        if judged is not None and primary == "auroc" and "probability" in judged:
            points = roc_table(judged[~judged["model"].str.startswith("baseline:")])
            st.altair_chart(
                charts.roc(points, modalities, "How sensitivity is bought with false alarms"), width="stretch", theme="streamlit"
            )
    left, right = st.columns([11, 10], gap="large")
    with left:
        if judged is not None and primary == "auroc" and "probability" in judged:
            bins = calibration_table(judged[judged["model"] == "fused"])
            st.altair_chart(
                charts.calibration(bins, "Predicted and observed agree on the line"),
                width="stretch",
                theme="streamlit",
            )
    with right:
        curve = published.table(folder, "curves.parquet")
        if curve is not None:
            fused = curve[curve["fit"].str.endswith(".fused")]
            st.altair_chart(
                charts.curves(fused, "Training stops where validation loss stays"),
                width="stretch",
                theme="streamlit",
            )
    with st.expander("All metrics as a table"):
        shown = metrics[["model", "metric", "value", "low", "high", "n", "n_positive", "split"]].round(4)
        st.dataframe(shown, hide_index=True, width="stretch")
        st.download_button("CSV", shown.to_csv(index=False), "metrics.csv", "text/csv")
    runs = published.runs(st.session_state["cohort"])
    with st.expander("Runs of this cohort"):
        st.dataframe(runs[["run_id", "fusion", "status", "started", "finished", "bundle_id"]], hide_index=True, width="stretch")


def verdict(metrics: pd.DataFrame, primary: str) -> str:
    """Whether fusion is worth it on this cohort, in one sentence with the difference, its interval and n."""
    difference = metrics[metrics["model"] == DIFFERENCE]
    fused = metrics[(metrics["model"] == "fused") & (metrics["metric"] == primary)]
    if difference.empty:
        return (
            f"The fused model reaches {NAMES[primary]} {interval(fused.iloc[0].to_dict())}."
            if len(fused)
            else "The run has no fused model."
        )
    row = difference.iloc[0].to_dict()
    best = json.loads(row["modalities"])[0]
    said = f"{row['value']:+.2f} {NAMES[primary]} over {best} alone ({row['low']:+.2f} to {row['high']:+.2f}), n = {row['n']:.0f}"
    if row["low"] > 0:
        return f"Fusion helps on this cohort: {said}."
    if row["high"] < 0:
        return f"Fusion harms on this cohort: {said}."
    return f"Fusion is not shown to be better than the best single modality: {said}."


def interval(row: dict[str, float]) -> str:
    """A value with its interval and n."""
    return f"{row['value']:.2f} ({row['low']:.2f} to {row['high']:.2f}), n = {row['n']:.0f}"


def _figures(metrics: pd.DataFrame) -> None:
    fused = metrics[metrics["model"] == "fused"]
    for column, row in zip(st.columns(max(len(fused), 1)), fused.to_dict("records"), strict=False):
        column.metric(
            NAMES.get(row["metric"], row["metric"]),
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
        parts.append(pd.DataFrame({"model": model, "false_positive_rate": x, "true_positive_rate": y, "order": range(len(x))}))
    return pd.concat(parts, ignore_index=True)


def calibration_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean predicted and observed share of each bin, with Wilson's interval and its n."""
    place = calibration_bins(rows["probability"].to_numpy(float))
    grouped = rows.groupby(place)
    table = pd.DataFrame({"predicted": grouped["probability"].mean(), "observed": grouped["label"].mean(), "n": grouped.size()})
    bounds = np.asarray([wilson(share, int(n)) for share, n in zip(table["observed"], table["n"], strict=True)])
    return table.assign(low=bounds[:, 0], high=bounds[:, 1])


main()
