"""The tables of the record of who did what: models in use, reviews, labels and when each was first
seen, and the audit, whose rows are only ever added.
"""

from typing import Any

from sqlalchemy import Column, Connection, Index, Integer, String, Table, Text, event

from mmdiag.storage.ledger_tables import METADATA

CHAMPION = "champion"

MODELS = Table(
    "models",
    METADATA,
    Column("bundle_id", String(40), primary_key=True),
    Column("cohort", String(80), nullable=False),
    Column("state", String(16), nullable=False),
    Column("since", String(40), nullable=False),
    Column("by", String(80)),
    Column("reason", Text),
    Column("before", String(40)),  # the champion that it followed: what a rollback returns to
)
Index(
    "one_champion_a_cohort",
    MODELS.c.cohort,
    unique=True,
    sqlite_where=MODELS.c.state == CHAMPION,
    postgresql_where=MODELS.c.state == CHAMPION,
)
REVIEWS = Table(
    "reviews",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("cohort", String(80), nullable=False),
    Column("case_id", String(128), nullable=False),
    Column("version", String(64)),
    Column("bundle_id", String(40), nullable=False),
    Column("verdict", String(16), nullable=False),
    Column("label", String(200)),
    Column("reason", Text),
    Column("by", String(80)),
    Column("at", String(40), nullable=False),
)
Index("reviews_by_case", REVIEWS.c.cohort, REVIEWS.c.case_id)
LABELS_SEEN = Table(
    "labels_seen",
    METADATA,
    Column("cohort", String(80), primary_key=True),
    Column("case_id", String(128), primary_key=True),
    Column("value", Text),  # JSON; the newest, "" = taken back
    Column("first_seen", String(40), nullable=False),  # "" = before labels were stamped
    Column("changed_at", String(40)),
)
AUDIT = Table(
    "audit",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("at", String(40), nullable=False),
    Column("by", String(80), nullable=False),
    Column("kind", String(40), nullable=False),
    Column("payload", Text, nullable=False),
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
)
TRIGGERS = {
    "audit_is_not_changed": "CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit BEGIN "
    "SELECT RAISE(ABORT, 'rows of the audit are only ever added'); END",
    "audit_is_not_shortened": "CREATE TRIGGER audit_is_not_shortened BEFORE DELETE ON audit BEGIN "
    "SELECT RAISE(ABORT, 'rows of the audit are only ever added'); END",
}


@event.listens_for(AUDIT, "after_create")
def _guard(_: Table, connection: Connection, **__: Any) -> None:
    if connection.dialect.name == "sqlite":
        for statement in TRIGGERS.values():
            connection.exec_driver_sql(statement)
