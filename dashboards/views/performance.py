"""Performance: was fusion worth it, how good is the model, where are its probabilities right."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
from jaxtyping import Bool, Float
from numpy import ndarray

from dashboards import in_use, notes, published, texts
from dashboards.charts import models as charts
from dashboards.charts.style import FUSED_NAME, Drawn
from dashboards.parts import against, part
from dashboards.tables import csv_button
from mmdiag.evaluation.calibration_error import calibration_bins
from mmdiag.evaluation.interplay import interplay_sentences
from mmdiag.evaluation.metrics import wilson
from mmdiag.evaluation.ranking import roc_points
from mmdiag.evaluation.verdict import (
    BASELINE,
    DIFFERENCES,
    FUSED,
    LOG_HAZARD,
    LOG_ODDS,
    interval,
    metric_name,
    model_name,
    primary_metric,
    verdict,
)
from mmdiag.explain.importance import global_importance
from mmdiag.explain.report.checked import UNCHECKED, checked_rows, checked_sentence

Leaks = Sequence[Mapping[str, str]]  # what may give the label away
Titles = Mapping[str, str]  # modality -> how people read it
SHOWN = ("model", "metric", "value", "low", "high", "n", "n_positive", "split")


def main() -> None:
    """Draw the page."""
    cohort = st.session_state["cohort"]
    with part("The model in use"):
        in_use.draw(cohort)
    _trained(cohort)
    with part("The models"):
        in_use.states(cohort)


def _trained(cohort: str) -> None:
    """How the models of the chosen run were judged when they were trained."""
    folder = published.run_folder(st.session_state.get("run"))
    leaks: Leaks = ()
    metrics, titles = None, dict[str, str]()
    with part("The metrics"):
        metrics = published.table(folder, "metrics.parquet") if folder else None
    with part("The names of the modalities"):
        described = published.described(cohort)
        titles = texts.display_names(list(described.modalities), described.title)
        leaks = described.leaks
    if folder is None or metrics is None or metrics.empty:
        if folder is not None and (folder / "metrics.parquet").is_file():
            with part("The other charts"):
                _draw(_other_charts(folder, pd.DataFrame(), titles))
            return
        st.info(
            "No model was evaluated on this cohort yet. This command trains one, and picks up a "
            "run that was interrupted:",
            icon=":material/model_training:",
        )
        st.code("mmdiag run --cohort cohort.toml", language="bash")
        return
    with part("The verdict"):
        st.markdown(f"#### {sentence(metrics, titles, leaks)}")
        against(_bundle_of(folder))
    with part("The figures"):
        _figures(metrics)
    forest: list[Drawn] = []
    with part("The metrics of each model"):
        forest = [_forest(metrics, titles)]
    _draw([*forest, *_other_charts(folder, metrics, titles)])
    with part("How the modalities act together"):
        _interplay(folder, metrics)
    if not (folder / "out_of_fold.parquet").is_file():
        st.caption(
            "Predictions of the evaluated cases are not published yet, so there is no ROC and no "
            f"calibration: {texts.RECOMPUTE}"
        )
    with part("The checks of the explanations"):
        _explanations(folder)
    with part("The table of metrics"):
        _metrics_table(metrics, titles)
    with part("The list of runs"):
        _runs_table()


def _bundle_of(folder: Path) -> str:
    """The model of a run; empty where it has none."""
    return str(((published.facts(folder, "run.json") or {}).get("bundle") or {}).get("id") or "")


def _explanations(folder: Path) -> None:
    """Whether the explanations of the run's model hold, or how to ask."""
    bundle = _bundle_of(folder)
    if not bundle:
        return
    found = published.checks(bundle)
    if found is None:
        st.markdown(f"**{UNCHECKED}**")
        st.code(f"mmdiag explain --checks --bundle {bundle}", language="bash")
        return
    st.markdown(f"**{notes.plain(checked_sentence(found))}**")
    table = pd.DataFrame(checked_rows(found), columns=["check", "found", "asked"])
    st.dataframe(table, hide_index=True, width="stretch")
    csv_button(table, "explanations.csv")


def _draw(charts_of_run: list[Drawn]) -> None:
    for start in range(0, len(charts_of_run), 2):
        for column, chart in zip(
            st.columns([11, 10], gap="large"), charts_of_run[start : start + 2], strict=False
        ):
            column.altair_chart(chart, width="stretch", theme="streamlit")


def sentence(metrics: pd.DataFrame, titles: Titles, leaks: Leaks = ()) -> str:
    """The verdict on fusion, as Markdown in which `n = 39` is not broken between lines."""
    rows = [
        {**row, "modalities": json.loads(row["modalities"])} for row in published.records(metrics)
    ]
    plain = [{**leak, "fact": notes.plain(leak["fact"])} for leak in leaks]
    text = verdict(rows, title=lambda name: notes.plain(titles.get(name, name)), leaks=plain)
    return text.replace("n = ", "n\u00a0=\u00a0")


def _other_charts(folder: Path, metrics: pd.DataFrame, titles: Titles) -> list[Drawn]:
    """All but the forest plot; each is left out where its file is missing, and said to be damaged
    where it cannot be read.
    """
    found: list[Drawn | None] = []
    with part("ROC and calibration"):
        evaluated = published.table(folder, "out_of_fold.parquet")
        found += _of_predictions(metrics, evaluated, titles)
    with part("The curves of the training"):
        found.append(_curves(published.table(folder, "curves.parquet")))
    with part("The importance of the modalities"):
        predicted = published.table(folder, "predictions.parquet")
        survival = bool((metrics["metric"] == "c_index").any())
        found.append(_importance(predicted, titles, survival))
    return [chart for chart in found if chart is not None]


def _forest(metrics: pd.DataFrame, titles: Titles) -> Drawn:
    primary = primary_metric(published.records(metrics))
    rows = metrics[(metrics["metric"] == primary) & ~metrics["model"].isin(DIFFERENCES)].copy()
    rows["label"] = [interval(row) for row in published.records(rows)]
    rows["model"] = [_name(model, titles) for model in rows["model"]]
    name = metric_name(primary)
    return charts.forest(
        rows,
        list(titles.values()),
        f"{name} of each model on the same subjects ({rows['split'].iloc[0]})",
        name,
        reference=0.5 if primary in ("auroc", "c_index") else None,
    )


def _name(model: object, titles: Titles) -> str:
    return model_name(str(model), title=lambda name: titles.get(name, name))


def _of_predictions(
    metrics: pd.DataFrame, evaluated: pd.DataFrame | None, titles: Titles
) -> list[Drawn]:
    """ROC and calibration; of a binary task only."""
    if evaluated is None or "probability" not in evaluated or evaluated["label"].nunique() != 2:
        return []
    evaluated = evaluated[evaluated["label"].notna()]
    own = evaluated[~evaluated["model"].str.startswith(BASELINE)]
    own = own.assign(model=[_name(model, titles) for model in own["model"]])
    values = {
        (_name(row["model"], titles), row["metric"]): float(row["value"])
        for row in published.records(metrics)
    }
    areas = {
        model: f"{model}, area {values[model, 'auroc']:.2f}"
        for model in map(str, own["model"].unique())
        if (model, "auroc") in values
    }
    folds = "split" in metrics and (metrics["split"] == "cross-validation").any()
    title = "ROC of each model on the same subjects" + (", mean of the folds" if folds else "")
    drawn: list[Drawn] = [charts.roc(roc_table(own), list(titles.values()), title, areas)]
    fused = own[own["model"] == FUSED_NAME]
    if len(fused):
        error = values.get((FUSED_NAME, "ece"))
        drawn.append(charts.calibration(calibration_table(fused), texts.calibration(error)))
    return drawn


def _curves(curve: pd.DataFrame | None) -> Drawn | None:
    fused = curve[curve["fit"].str.endswith(f".{FUSED}")] if curve is not None else None
    if fused is None or fused.empty:
        return None
    best = fused.loc[fused.groupby("fit")["valid_loss"].idxmin(), "epoch"]
    return charts.curves(
        fused,
        f"Validation loss is lowest after {best.median():.0f} epochs (median of {len(best)} fits)",
    )


@st.cache_data(show_spinner=False, max_entries=8)
def _importances(
    values: Float[ndarray, "case modality"],
    present: Bool[ndarray, "case modality"],
    names: list[str],
    subject: list[str],
) -> list[dict[str, Any]]:
    return global_importance(values, present, names, subject=np.asarray(subject))


def _importance(predicted: pd.DataFrame | None, titles: Titles, survival: bool) -> Drawn | None:
    names = [m for m in titles if predicted is not None and f"contribution_{m}" in predicted]
    if predicted is None or predicted.empty or not names:
        return None
    present = np.asarray([[m in row for m in names] for row in predicted["modalities"].map(list)])
    values = predicted[[f"contribution_{m}" for m in names]].to_numpy(dtype=float)
    shown = [titles[name] for name in names]
    rows = pd.DataFrame(
        _importances(values, present, shown, predicted["subject_id"].astype(str).tolist())
    )
    if rows.empty:
        return None
    rows = rows.rename(columns={"modality": "model"}).sort_values("value", ascending=False)
    rows["label"] = [interval(row) for row in published.records(rows)]
    title = f"{texts.IMPORTANCE}; largest: {rows['model'].iloc[0]}"
    of_members = "agreement" in predicted and predicted["agreement"].notna().any()
    scale = LOG_HAZARD if survival and of_members else LOG_ODDS
    return charts.forest(rows, list(titles.values()), title, f"mean |Shapley value|, {scale}")


def _interplay(folder: Path, metrics: pd.DataFrame) -> None:
    """How far the answers are an interplay; nothing of a run that did not ask."""
    found = published.facts(folder, "interplay.json")
    metric = metric_name(primary_metric(published.records(metrics)))
    for sentence in interplay_sentences(found or {}, metric):
        st.caption(notes.plain(sentence))


def _figures(metrics: pd.DataFrame) -> None:
    rows = published.records(metrics[metrics["model"] == FUSED])
    positive = "with the event" if (metrics["metric"] == "c_index").any() else "positive"
    for column, row in zip(st.columns(max(len(rows), 4)), rows, strict=False):
        column.metric(
            notes.plain(metric_name(row["metric"])),
            f"{row['value']:.2f}",
            help="Of the fused model, with the 95 % bootstrap interval over subjects.",
        )
        column.caption(
            f"{row['low']:.2f} to {row['high']:.2f}, n = {row['n']:.0f}"
            + (f", {row['n_positive']:.0f} {positive}" if row["n_positive"] else "")
        )


def _metrics_table(metrics: pd.DataFrame, titles: Titles) -> None:
    with st.expander("All metrics as a table"):
        shown = metrics[[column for column in SHOWN if column in metrics]].round(4)
        shown = shown.assign(
            model=[DIFFERENCES.get(model) or _name(model, titles) for model in shown["model"]],
            metric=[metric_name(str(metric)) for metric in shown["metric"]],
        )
        st.dataframe(shown, hide_index=True, width="stretch")
        csv_button(shown, "metrics.csv")


def _runs_table() -> None:
    runs = published.runs(st.session_state["cohort"])
    with st.expander(f"Runs of this cohort ({len(runs)})"):
        st.dataframe(
            runs[["run_id", "fusion", "status", "started", "finished", "bundle_id"]],
            hide_index=True,
            width="stretch",
        )


def roc_table(evaluated: pd.DataFrame) -> pd.DataFrame:
    """Points of the ROC curve of each model."""
    parts = []
    for model, rows in evaluated.groupby("model", sort=False):
        fold = rows["part"].to_numpy(str) if "part" in rows else None
        score = rows["probability"].to_numpy(float)
        x, y = roc_points(rows["label"].to_numpy(float), score, fold)
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
    grouped = rows.groupby(calibration_bins(rows["probability"].to_numpy(float)))
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


if __name__ == "__main__":  # a page is run, not imported
    main()
