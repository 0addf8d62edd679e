"""The tables of the ledger."""

from sqlalchemy import JSON, Boolean, Column, Float, Index, Integer, MetaData, String, Table, Text

METADATA = MetaData()

COHORTS = Table(
    "cohorts",
    METADATA,
    Column("name", String(80), primary_key=True),
    Column("hash", String(80)),
    Column("task", JSON),
    Column("modalities", JSON),
    Column("counts", JSON),
    Column("ingested_at", String(32)),
)
VERDICTS = Table(
    "verdicts",
    METADATA,
    Column("cohort", String(80), primary_key=True),
    Column("case_id", String(128), primary_key=True),
    Column("version", String(64)),
    Column("subject_id", String(128)),
    Column("verdict", String(16)),
    Column("modalities", Text),
)
QUARANTINE = Table(
    "quarantine",
    METADATA,
    Column("cohort", String(80), primary_key=True),
    Column("case_id", String(128), primary_key=True),
    Column("modality", String(40), primary_key=True),
    Column("code", String(40), primary_key=True),
    Column("rule", Text),
    Column("detail", Text),
    Column("file_sha256", String(64)),
    Column("cure", Text),
    Column("first_seen", String(32)),
    Column("last_seen", String(32)),
)
ACCEPTANCES = Table(
    "acceptances",
    METADATA,
    Column("cohort", String(80), primary_key=True),
    Column("case_id", String(128), primary_key=True),
    Column("modality", String(40), primary_key=True),
    Column("code", String(40), primary_key=True),
    Column("accepted_at", String(32), primary_key=True),
    Column("reason", Text),
    Column("who", String(80)),
)
CONTRACTS = Table(
    "contracts",
    METADATA,
    Column("cohort", String(80), primary_key=True),
    Column("contract", String(80), primary_key=True),
    Column("rule", String(400), primary_key=True),
    Column("column", String(200), primary_key=True),
    Column("severity", String(16)),
    Column("why", Text),
    Column("checked", Integer),
    Column("failed", Integer),
    Column("judged_at", String(32)),
)
RUNS = Table(
    "runs",
    METADATA,
    Column("run_id", String(40), primary_key=True),
    Column("command", String(40)),
    Column("cohort", String(80)),
    Column("status", String(16)),
    Column("config", JSON),
    Column("folder", Text),
    Column("bundle_id", String(40)),
    Column("started", String(40)),
    Column("finished", String(40)),
)
METRICS = Table(
    "metrics",
    METADATA,
    Column("run_id", String(40), primary_key=True),
    Column("model", String(80), primary_key=True),
    Column("metric", String(120), primary_key=True),
    Column("split", String(40), primary_key=True),
    Column("fusion", String(80)),
    Column("modalities", JSON),
    Column("value", Float),
    Column("low", Float),
    Column("high", Float),
    Column("n", Integer),
    Column("n_positive", Integer),
    Column("p", Float),
)
CURVES = Table(
    "curves",
    METADATA,
    Column("run_id", String(40), primary_key=True),
    Column("fit", String(80), primary_key=True),
    Column("epoch", Integer, primary_key=True),
    Column("train_loss", Float),
    Column("valid_loss", Float),
    Column("valid_metric", Float),
    Column("learning_rate", Float),
    Column("gradient_norm", JSON),
    Column("probe", JSON),
)
BUNDLES = Table(
    "bundles",
    METADATA,
    Column("bundle_id", String(40), primary_key=True),
    Column("path", Text),
    Column("run_id", String(40)),
    Column("cohort", String(80)),
    Column("description", JSON),
    Column("saved_at", String(32)),
)
PREDICTIONS = Table(
    "predictions",
    METADATA,
    Column("bundle_id", String(40), primary_key=True),
    Column("cohort", String(80), primary_key=True),
    Column("case_id", String(128), primary_key=True),
    Column("version", String(64), primary_key=True),
    Column("subject_id", String(128)),
    Column("as_of", String(32)),
    Column("role", String(16)),
    Column("predicted", String(200)),
    Column("answers", JSON),
    Column("modalities", JSON),
    Column("contributions", JSON),
    Column("base", Float),
    Column("logit", Float),
    Column("weights", JSON),
    Column("attention", JSON),
    Column("interaction", JSON),
    Column("abstained", Boolean),
    Column("scored_at", String(40)),
)
Index("predictions_by_cohort", PREDICTIONS.c.cohort, PREDICTIONS.c.case_id)
