"""mmdiag in Python: the objects that code holds, and the path of a cohort as plain calls."""

from mmdiag.api.objects import Bundle, Cohort, Searched, search, train
from mmdiag.api.steps import (
    availability,
    begin_with,
    bundle_folder,
    compare,
    explain_case,
    ingest,
    latest_run,
    leaks,
    metrics,
    open_bundle,
    predictions_path,
    pretrain,
    score,
    search_and_compare,
    verify,
)

__all__ = [
    "Bundle",
    "Cohort",
    "Searched",
    "availability",
    "begin_with",
    "bundle_folder",
    "compare",
    "explain_case",
    "ingest",
    "latest_run",
    "leaks",
    "metrics",
    "open_bundle",
    "predictions_path",
    "pretrain",
    "score",
    "search",
    "search_and_compare",
    "train",
    "verify",
]
