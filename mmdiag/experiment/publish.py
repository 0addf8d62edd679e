"""What a run publishes: its predictions, its bundle, and the ledger's record of all of it."""

from typing import Any

import pandas as pd

from mmdiag.experiment import mlflow_tracking
from mmdiag.experiment.evaluate import availability_of, interplay_of, metrics_of
from mmdiag.experiment.predictions import predictions, write_predictions
from mmdiag.experiment.run import Run, open_data
from mmdiag.inference.manifest import read_manifest
from mmdiag.inference.prediction_table import recorded_columns
from mmdiag.storage.ledger import Ledger


def publish(run: Run, ledger: Ledger) -> dict[str, Any]:
    """Publish an evaluated run: its predictions once more, and everything in the ledger.

    Returns:
        `split`, `bundle`, `metrics` and `predictions` of the answer in docs/interface.md,
        `availability`, `interplay` and `warnings`: sentences on the model itself.
    """
    table, metrics = predictions(run), metrics_of(run)
    if not (run.folder / "predictions.parquet").is_file():  # evaluated by an earlier version
        write_predictions(run)
    final, fusion = run.fitted(run.final), run.config_of(run.final).fusion
    bundle = {"id": final["bundle_id"], "path": str(run.workspace.path / final["bundle"])}
    found = {str(fit): run.fitted(fit).get("warnings") for fit in run.fits}
    finished = run.manifest.finished or max(str(stamp) for stamp in table["scored_at"])
    run = run.update(
        status="done",
        bundle=bundle,
        finished=finished,
        warnings={name: sentences for name, sentences in found.items() if sentences},
    )
    asked = run.manifest
    files = read_manifest(run.workspace.path / final["bundle"]).files
    facts = {
        "fusion": fusion,
        "recipe": run.config.recipe,
        "files": dict(files),
        "leaks": [dict(leak) for leak in open_data(run).store.leaks],
    }
    ledger.record_bundle(bundle["id"], final["bundle"], asked.run_id, asked.cohort, facts)
    ledger.record_run(
        asked.run_id,
        "run",
        asked.cohort,
        "done",
        asked.config,
        str(run.folder.relative_to(run.workspace.path)),
        bundle_id=bundle["id"],
        started=asked.started,
        finished=asked.finished,
    )
    ledger.record_metrics(asked.run_id, metrics)
    mlflow_tracking.publish(run, bundle["id"], metrics)
    ledger.record_curves(asked.run_id, pd.read_parquet(run.folder / "curves.parquet"))
    ledger.record_predictions(asked.cohort, recorded_columns(table))
    return {
        "split": dict(asked.split),
        "bundle": bundle,
        "metrics": metrics,
        "availability": availability_of(run),
        "interplay": interplay_of(run),
        "warnings": run.warnings,
        "predictions": str(run.folder / "predictions.parquet"),
    }
