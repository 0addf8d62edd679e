"""Runs mirrored to a team's MLflow, an option (`mmdiag[mlflow]`): switched on by MMDIAG_MLFLOW, to
the server that MLFLOW_TRACKING_URI names.

One MLflow run a run of mmdiag, in an experiment of the cohort's name: the configuration as
parameters, curves and final metrics with their intervals as
metrics, hashes and ids as tags; no case key and no patient's value. MONAI's handler begins it and
keeps it across trainings; epochs are sent together, some
seconds apart. A server that does not answer costs seconds once: then nothing more is mirrored by
this process, and training goes on.
"""

import importlib.util
import json
import logging
import math
import os
import re
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mmdiag.errors import UsageError
from mmdiag.experiment.fit_id import FitId
from mmdiag.experiment.run import Run
from mmdiag.training.collectives import rank_and_world_size

SWITCH, ADDRESS = "MMDIAG_MLFLOW", "MLFLOW_TRACKING_URI"
# seconds, and tries; MLflow's own make minutes
PATIENCE = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "3",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
}
APART = 10  # seconds between two sendings of a training
MOST = 1000  # metrics in a request
STORES = ("http", "https", "sqlite", "postgresql", "mysql")


def wanted() -> bool:
    """Whether the user switched mirroring on."""
    return os.environ.get(SWITCH, "") not in ("", "0")


def require() -> None:
    """Check before a run begins that mirroring can work, where it is wanted.

    Raises:
        UsageError: MLflow is not installed, or no server is named.
    """
    if not wanted():
        return
    if importlib.util.find_spec("mlflow") is None:
        raise UsageError(
            "Mirroring needs MLflow, which is not installed: pip install 'mmdiag[mlflow]', or "
            "leave --mlflow and MMDIAG_MLFLOW out."
        )
    scheme = urlsplit(os.environ.get(ADDRESS, "")).scheme.split("+")[0]
    if scheme not in STORES:
        found = f"a {scheme or 'file'} address" if os.environ.get(ADDRESS) else "none"
        raise UsageError(
            f"Mirroring needs {ADDRESS}, the address of a tracking server or database, found "
            f"{found}: set it to https://... or sqlite:///..."
        )


def attach(run: Run, name: FitId) -> Callable[[Any], None] | None:
    """What adds the mirror to the trainer of a fit; None where nothing is mirrored.

    Args:
        name: Of the fit; its curve has this prefix.
    """
    if not wanted() or rank_and_world_size()[0]:
        return None
    return _mirror(run.folder).watching(str(name))


def publish(run: Run, bundle_id: str, metrics: Sequence[Mapping[str, Any]]) -> None:
    """Send the metrics of a finished run, and end it there; does nothing where that was done
    before.

    Args:
        metrics: Rows with `model`, `metric`, `value`, `low`, `high` and `n`.
    """
    if wanted():
        _mirror(run.folder).finish(bundle_id, metrics)
        _mirror.cache_clear()


@lru_cache(maxsize=1)
def _mirror(folder: Path) -> "Mirror":
    return Mirror(Run.open(folder))


class Mirror:
    """The mirror of one run in this process."""

    def __init__(self, run: Run) -> None:
        self.run, self.off, self.pending, self.sent = (
            run,
            False,
            list[tuple[str, float, int]](),
            time.monotonic(),
        )
        self.handler: Any = None
        self._guarded(self._open)

    def watching(self, name: str) -> Callable[[Any], None]:
        """Handlers that collect a training's epochs under a name."""

        def to(trainer: Any) -> None:
            from ignite.engine import Events

            trainer.add_event_handler(
                Events.EPOCH_COMPLETED, lambda engine: self._epoch(name, engine.state)
            )
            trainer.add_event_handler(Events.COMPLETED, lambda _: self._guarded(self._send))

        return to

    def finish(self, bundle_id: str, metrics: Sequence[Mapping[str, Any]]) -> None:
        """Send what is left, with the metrics and the bundle, and end the run."""
        self.pending += list(_final(metrics))
        self._guarded(lambda: self._finish(bundle_id))

    def _epoch(self, name: str, state: Any) -> None:
        self.pending += [
            (f"{name}/{key}", float(value), state.epoch)
            for key, value in state.metrics.items()
            if math.isfinite(value)
        ]
        if time.monotonic() - self.sent > APART:
            self._guarded(self._send)

    def _open(self) -> None:
        for name, value in PATIENCE.items():
            os.environ.setdefault(name, value)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of packages that MLflow brings
            from monai.handlers import MLFlowHandler

            asked = self.run.manifest
            parameters = _flat(json.loads(json.dumps(asked.config)))
            self.handler = MLFlowHandler(
                iteration_log=False,
                epoch_log=False,
                experiment_name=asked.cohort,
                run_name=asked.run_id,
                experiment_param=parameters,
            )
        self.handler.default_tracking_params = []  # they differ from fit to fit

    def _begin(self) -> None:
        if self.handler.cur_run is None:
            self.handler.start(None)
            self._tag(
                run_id=self.run.manifest.run_id,
                cohort=self.run.manifest.cohort,
                cohort_hash=self.run.manifest.cohort_hash,
            )

    def _tag(self, **tags: Any) -> None:
        from mlflow.entities import RunTag

        found = [RunTag(f"mmdiag.{name}", str(value)) for name, value in tags.items()]
        self.handler.client.log_batch(self.handler.cur_run.info.run_id, tags=found)

    def _send(self) -> None:
        from mlflow.entities import Metric

        self._begin()
        now, rows, self.pending, self.sent = (
            int(time.time() * 1000),
            self.pending,
            [],
            time.monotonic(),
        )
        for first in range(0, len(rows), MOST):
            found = [
                Metric(_name(key), value, now, step)
                for key, value, step in rows[first : first + MOST]
            ]
            self.handler.client.log_batch(self.handler.cur_run.info.run_id, metrics=found)

    def _finish(self, bundle_id: str) -> None:
        client, asked = self.handler.client, self.run.manifest
        experiment = client.get_experiment_by_name(asked.cohort)
        mirrored = (
            f"tags.`mmdiag.bundle_id` = '{bundle_id}' and tags.`mmdiag.run_id` = '{asked.run_id}'"
        )
        if experiment is None or not client.search_runs(
            [experiment.experiment_id], mirrored, max_results=1
        ):
            self._send()
            self._tag(bundle_id=bundle_id, fusion=self.run.fusion)
        self.handler.close()

    def _guarded(self, work: Callable[[], None]) -> None:
        """Do something with the server; at the first failure say so, and do nothing more."""
        from mlflow.exceptions import MlflowException

        if self.off:
            return
        try:
            work()
        except (MlflowException, OSError, ValueError) as error:
            self.off = True
            where = urlsplit(os.environ.get(ADDRESS, "")).hostname or "this database"
            logging.getLogger("mmdiag.experiment.mlflow_tracking").warning(
                "A tracking server must answer within %s s, the one at %s did not (%s): training "
                "goes on, and this run is mirrored no further.",
                os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"],
                where,
                type(error).__name__,
            )


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in values.items():
        found |= (
            _flat(value, f"{prefix}{key}.")
            if isinstance(value, Mapping)
            else {f"{prefix}{key}": value}
        )
    return found


def _final(metrics: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, float, int]]:
    for row in metrics:
        name = f"{row['model']}/{row['metric']}"
        for key, value in (
            (name, row["value"]),
            *((f"{name}/{part}", row.get(part)) for part in ("low", "high", "n")),
        ):
            if value is not None and math.isfinite(value):
                yield key, float(value), 0


def _name(key: str) -> str:
    """What MLflow allows in a name."""
    return re.sub(r"[^\w\-. :/]", "_", key)
