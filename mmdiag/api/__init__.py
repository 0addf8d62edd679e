"""mmdiag in Python: the objects that code holds, and the path of a cohort as plain calls."""

from mmdiag.api.objects import Bundle, Cohort, Searched, search, train
from mmdiag.api.results import (
    availability,
    check_explanations,
    explain_case,
    latest_run,
    leaks,
    metrics,
    predictions_path,
    replay,
    verify,
)
from mmdiag.api.scoring import score, score_ingested, score_unchanged
from mmdiag.api.steps import (
    begin_with,
    bundle_folder,
    compare,
    ingest,
    model_in_use,
    open_bundle,
    pretrain,
    require_judgeable,
    require_trainable,
    search_and_compare,
    validate,
)

__all__ = [
    "Bundle",
    "Cohort",
    "Searched",
    "availability",
    "begin_with",
    "bundle_folder",
    "check_explanations",
    "compare",
    "explain_case",
    "ingest",
    "latest_run",
    "leaks",
    "metrics",
    "model_in_use",
    "open_bundle",
    "predictions_path",
    "pretrain",
    "replay",
    "require_judgeable",
    "require_trainable",
    "score",
    "score_ingested",
    "score_unchanged",
    "search",
    "search_and_compare",
    "train",
    "validate",
    "verify",
]
