"""The record, in SQL: cohorts, verdicts, quarantine, contracts, runs, metrics, bundles,
predictions. SQLite by default, PostgreSQL by URL.

Every write is an upsert on a natural key in one transaction, so that a step that is repeated after
a kill changes nothing.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pandas as pd
from sqlalchemy import Connection, func, select

from mmdiag.storage.audit.batches import batch_facts, unrecorded
from mmdiag.storage.audit.chain import now
from mmdiag.storage.database import UNKNOWN, Database, plain_value, writable
from mmdiag.storage.labels_seen import stamp
from mmdiag.storage.ledger_tables import (
    ACCEPTANCES,
    BUNDLES,
    COHORTS,
    CONTRACTS,
    CURVES,
    METRICS,
    PREDICTIONS,
    QUARANTINE,
    RUNS,
    VERDICTS,
)
from mmdiag.storage.model_states import adopt, register
from mmdiag.storage.record_tables import LABELS_SEEN, MODELS
from mmdiag.workspace import Workspace

# of a prediction, what stays when contributions are added to it
GIVEN = (
    *("subject_id", "as_of", "role", "predicted", "answers", "modalities"),
    *("logit", "abstained", "scored_at"),
)


class Ledger(Database):
    """The record of a workspace.

    Args:
        url: SQLAlchemy URL; `sqlite:///path` is made in WAL mode: readers never wait for a writer.
    """

    @staticmethod
    def of(workspace: Workspace) -> "Ledger":
        """The ledger of a workspace, which keeps the head of the audit of one on a server."""
        return Ledger(workspace.ledger_url, workspace.path)

    def record_cohort(
        self,
        name: str,
        hash: str,
        task: Mapping[str, Any],
        modalities: Mapping[str, Any],
        counts: Mapping[str, Any],
        labels: Mapping[str, str] | None = None,
        known_before: frozenset[str] = frozenset(),
        gone: int = 0,
    ) -> None:
        """What a cohort holds now; the audit says so where that is not what it held.

        Args:
            labels: Case -> its label as JSON, of all cases of the case table that have one; each is
                stamped when it is first seen, and what was corrected since is told to the audit.
            known_before: Cases that had a label before labels were stamped.
            gone: How many cases it held that are not in the case table any more.
        """
        row = {
            "name": name,
            "hash": hash,
            "task": dict(task),
            "modalities": dict(modalities),
            "counts": dict(counts),
            "ingested_at": _now(),
        }
        with self.writing() as connection:
            held = select(COHORTS.c.hash, COHORTS.c.counts).where(COHORTS.c.name == name)
            before = connection.execute(held).first()
            self._write(connection, COHORTS, [row])
            stamped, corrected = stamp(connection, name, labels, known_before)
            self._write(connection, LABELS_SEEN, stamped)
            was = None if before is None else (before.hash, _verdicts_of(before.counts or {}))
            if stamped or was != (hash, _verdicts_of(counts)):
                facts: dict[str, Any] = {"cohort": name, "hash": hash, "counts": dict(counts)}
                facts |= {"labels_stamped": len(stamped), "labels_corrected": len(corrected)}
                facts |= {"gone": gone} if gone else {}
                self.audit(connection, "ingest", facts)
            for correction in corrected:
                self.audit(connection, "label", {"cohort": name, **correction})

    def labels_stamped(self, cohort: str) -> bool:
        """Whether any label of a cohort was ever stamped."""
        query = select(LABELS_SEEN.c.case_id).where(LABELS_SEEN.c.cohort == cohort).limit(1)
        return bool(self.rows(query, LABELS_SEEN))

    def record_verdicts(self, cohort: str, verdicts: pd.DataFrame) -> None:
        """case_id, subject_id, version, verdict, modalities: one row a case, its newest version.
        Cases that are not named are forgotten.
        """
        self._replace(VERDICTS, cohort, ["case_id"], verdicts.assign(cohort=cohort))

    def record_quarantine(self, cohort: str, refused: pd.DataFrame) -> None:
        """case_id, modality ("" = the whole case), code, rule, detail, file_sha256, cure: all that
        is refused now. `first_seen` of what was known is kept.
        """
        stamp = _now()
        self._replace(
            QUARANTINE,
            cohort,
            ["case_id", "modality", "code"],
            refused.assign(cohort=cohort, first_seen=stamp, last_seen=stamp),
            kept=["first_seen"],
        )

    def record_acceptances(self, accepted: pd.DataFrame) -> None:
        """cohort, case_id, modality, code, reason, who: what a person accepted that a rule refuses;
        nothing is ever taken out.
        """
        rows = [
            {str(k): plain_value(v) for k, v in row.items()}
            for row in accepted.assign(accepted_at=now()).to_dict("records")
        ]
        with self.writing() as connection:
            self._write(connection, ACCEPTANCES, rows)
            for row in rows:
                facts = {key: row[key] for key in ("cohort", "case_id", "modality", "code")}
                self.audit(connection, "accept", facts | {"reason": row["reason"]}, row["who"])

    def acceptances(self, cohort: str | None = None) -> pd.DataFrame:
        """What people accepted."""
        return self._read(ACCEPTANCES, cohort=cohort)

    def record_contracts(self, cohort: str, results: pd.DataFrame) -> None:
        """contract, rule, column, severity, why, checked, failed."""
        self._replace(
            CONTRACTS,
            cohort,
            ["contract", "rule", "column"],
            results.assign(cohort=cohort, judged_at=_now()),
        )

    def record_run(
        self,
        run_id: str,
        command: str,
        cohort: str,
        status: str,
        config: Mapping[str, Any],
        folder: str,
        bundle_id: str | None = None,
        started: str | None = None,
        finished: str | None = None,
    ) -> None:
        """A run and where its files are."""
        row = {
            "run_id": run_id,
            "command": command,
            "cohort": cohort,
            "status": status,
            "config": dict(config),
            "folder": folder,
        }
        self._upsert(
            RUNS, [row | {"bundle_id": bundle_id, "started": started, "finished": finished}]
        )

    def record_metrics(self, run_id: str, metrics: Sequence[Mapping[str, Any]]) -> None:
        """Metrics in the form of docs/interface.md 3."""
        columns = [column.name for column in METRICS.columns if column.name != "run_id"]
        self._upsert(
            METRICS,
            [
                {"run_id": run_id} | {name: plain_value(row.get(name)) for name in columns}
                for row in metrics
            ],
        )

    def record_curves(self, run_id: str, curves: pd.DataFrame) -> None:
        """The columns of curves.parquet: one row a fit and epoch; `gradient_norm` and `probe` are
        JSON by modality.
        """
        json_columns = {"gradient_norm", "probe"}
        names = [column.name for column in CURVES.columns if column.name in curves]
        rows = [
            {
                name: json.loads(row[name]) if name in json_columns else plain_value(row[name])
                for name in names
            }
            for row in curves.to_dict("records")
        ]
        self._upsert(CURVES, [{"run_id": run_id} | row for row in rows])

    def record_bundle(
        self, bundle_id: str, path: str, run_id: str, cohort: str, description: Mapping[str, Any]
    ) -> None:
        """A saved model. A new one gets its state: the first of its cohort is the champion."""
        row = {
            "bundle_id": bundle_id,
            "path": path,
            "run_id": run_id,
            "cohort": cohort,
            "description": dict(description),
            "saved_at": _now(),
        }
        with self.writing() as connection:
            self._write(connection, BUNDLES, [row])
            model = register(connection, bundle_id, cohort)
            if model is not None:
                made = {"bundle_id": bundle_id, "cohort": cohort, "run_id": run_id}
                self.audit(connection, "train", made)
                self._audit_models(connection, [model])

    def _adopt(self, connection: Connection, known: set[str]) -> None:
        if BUNDLES.name in known and MODELS.name not in known:
            self._audit_models(connection, adopt(connection))

    def _audit_models(self, connection: Connection, models: Sequence[Mapping[str, Any]]) -> None:
        for model in models:
            facts = {name: model[name] for name in ("bundle_id", "cohort", "state", "reason")}
            self.audit(connection, "register", facts)

    def migrate(self) -> None:
        """Bring a ledger of an earlier version to this one, where there is one that may be written;
        what it holds is copied first.
        """
        file = self._file()
        if self._known_tables() and (file is None or writable(file)):
            self._make()

    def bundle_files(self, bundle_id: str) -> dict[str, str] | None:
        """The hashes of a bundle's files as they were recorded; None where they were not."""
        query = select(BUNDLES.c.description).where(BUNDLES.c.bundle_id == bundle_id)
        found = [row["description"] for row in self.rows(query, BUNDLES)]
        return (found[0] or {}).get("files") if found else None

    def record_predictions(self, cohort: str, predictions: pd.DataFrame) -> None:
        """The columns of predictions.parquet, version, and where they are known `weight_<modality>`
        `attention` and `interaction`. A case that this bundle has scored is written over with the
        same.
        """
        rows = _prediction_rows(cohort, predictions)
        with self.writing() as connection:
            new = unrecorded(connection, cohort, rows)
            self._write(connection, PREDICTIONS, rows)
            if new:
                self.audit(connection, "score", batch_facts(cohort, new))

    def record_contributions(self, cohort: str, predictions: pd.DataFrame) -> None:
        """What each modality contributed to answers that were recorded without it; the answers
        themselves, and when they were given, stay as they are.
        """
        self._upsert(PREDICTIONS, _prediction_rows(cohort, predictions), kept=GIVEN)

    def scored(self, bundle_id: str, cohort: str) -> set[tuple[str, str]]:
        """(case_id, version) of what a bundle has scored."""
        query = select(PREDICTIONS.c.case_id, PREDICTIONS.c.version).where(
            PREDICTIONS.c.bundle_id == bundle_id, PREDICTIONS.c.cohort == cohort
        )
        return {(row["case_id"], row["version"]) for row in self.rows(query, PREDICTIONS)}

    def cohorts(self) -> pd.DataFrame:
        """All cohorts."""
        return self._read(COHORTS)

    def runs(self) -> pd.DataFrame:
        """All runs, the newest first."""
        return self._read(RUNS).sort_values("started", ascending=False, ignore_index=True)

    def bundles(self) -> pd.DataFrame:
        """All bundles, the newest first."""
        return self._read(BUNDLES).sort_values("saved_at", ascending=False, ignore_index=True)

    def metrics(self, run_id: str) -> pd.DataFrame:
        """Metrics of one run."""
        return self._read(METRICS, run_id=run_id)

    def curves(self, run_id: str) -> pd.DataFrame:
        """Training curves of one run, epoch by epoch."""
        return self._read(CURVES, run_id=run_id).sort_values(["fit", "epoch"], ignore_index=True)

    def quarantine(self, cohort: str | None = None) -> pd.DataFrame:
        """What is refused."""
        return self._read(QUARANTINE, cohort=cohort)

    def contracts(self, cohort: str | None = None) -> pd.DataFrame:
        """How the rules fared."""
        return self._read(CONTRACTS, cohort=cohort)

    def seen(self, cohort: str) -> set[tuple[str, str]]:
        """(case_id, version) of what has a verdict."""
        query = select(VERDICTS.c.case_id, VERDICTS.c.version).where(VERDICTS.c.cohort == cohort)
        return {(row["case_id"], row["version"]) for row in self.rows(query, VERDICTS)}

    def verdicts(self, cohort: str) -> pd.DataFrame:
        """The verdict on every case."""
        return self._read(VERDICTS, cohort=cohort)

    def predictions(self, bundle_id: str | None = None, cohort: str | None = None) -> pd.DataFrame:
        """Predictions in the columns of predictions.parquet, and version."""
        less = ("weights", "attention", "interaction")
        table = self._read(PREDICTIONS, less=less, bundle_id=bundle_id, cohort=cohort)
        wide = (
            [
                pd.DataFrame(table[name].tolist(), index=table.index)
                for name in ("answers", "contributions")
            ]
            if len(table)
            else []
        )
        found = pd.concat(
            [table.drop(columns=["answers", "contributions", "cohort"]), *wide], axis=1
        )
        numbers = {name: found[name].astype(float) for name in ("base", "logit")}
        return found.assign(as_of=pd.to_datetime(found["as_of"]), **numbers)

    def answers_of(
        self, cohort: str, case_id: str, bundle_id: str | None = None
    ) -> list[dict[str, Any]]:
        """All predictions of a case, the newest first: the columns of predictions.parquet, version,
        `weight_<modality>`, `attention` and `interaction`.
        """
        table = self._read(PREDICTIONS, cohort=cohort, case_id=case_id, bundle_id=bundle_id)
        rows = table.sort_values(["scored_at", "bundle_id"], ascending=False).to_dict("records")
        parts = ("answers", "contributions", "weights")
        flat = [
            {str(k): v for k, v in row.items() if k not in parts}
            | {k: v for part in parts for k, v in (row[part] or {}).items()}
            for row in rows
        ]
        return [{name: plain_value(value) for name, value in row.items()} for row in flat]

    def unexplained(self, bundle_id: str, cohort: str) -> set[tuple[str, str]]:
        """(case_id, version) of what a bundle has scored without the contribution of any modality,
        because nobody asked for it.
        """
        table = self._read(PREDICTIONS, bundle_id=bundle_id, cohort=cohort, base=UNKNOWN)
        return {
            (case, version)
            for case, version, known in zip(
                table["case_id"], table["version"], table["contributions"], strict=True
            )
            if not any(name.startswith("contribution_") for name in known or {})
        }

    def count_predictions(self) -> int:
        """Number of predictions."""
        query = select(func.count().label("count")).select_from(PREDICTIONS)
        return sum(int(row["count"]) for row in self.rows(query, PREDICTIONS))


def _verdicts_of(counts: Mapping[str, Any]) -> dict[str, Any]:
    """Counts of a cohort less those of one look: how many cases were new to it."""
    return {name: count for name, count in counts.items() if name != "new"}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _prediction_rows(cohort: str, predictions: pd.DataFrame) -> list[dict[str, Any]]:
    answers = [c for c in predictions.columns if c == "probability" or c.startswith("probability_")]
    beside = ("contribution_", "atypical_", "abstained_because", "agreement")
    contributions = [c for c in predictions.columns if c.startswith(beside)]
    weights = [c for c in predictions.columns if c.startswith("weight_")]
    rows = []
    for row in predictions.to_dict("records"):
        plain = {
            name: plain_value(row.get(name))
            for name in (
                "bundle_id",
                "case_id",
                "version",
                "subject_id",
                "role",
                "predicted",
                "scored_at",
                "base",
                "logit",
                "attention",
                "interaction",
            )
        }
        plain |= {
            "cohort": cohort,
            "as_of": None if pd.isna(row["as_of"]) else str(row["as_of"]),
            "abstained": bool(row["abstained"]),
        }
        plain |= {
            "answers": {c: plain_value(row[c]) for c in answers},
            "contributions": {c: plain_value(row[c]) for c in contributions},
            "weights": {c: plain_value(row[c]) for c in weights} or None,
        }
        rows.append(plain | {"modalities": list(row["modalities"])})
    return rows
