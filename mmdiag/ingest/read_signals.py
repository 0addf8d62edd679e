"""Signals of some cases."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from functools import partial

from mmdiag.cohort.cases import Case
from mmdiag.ingest.read import Found, Reading, Wait, refusal, require_recorded
from mmdiag.sandbox.pool import Outcome, Sandbox

SIGNAL = "signal"


def read_signals(
    reading: Reading, pool: Sandbox, cases: Sequence[Case], name: str
) -> Mapping[str, Wait]:
    """Ask for the signals of a modality."""
    return {
        case.case_id: partial(_take, reading, case, name, _ask(reading, pool, case, name))
        for case in cases
    }


def _ask(reading: Reading, pool: Sandbox, case: Case, name: str) -> "Future[Outcome]":
    files, modality = case.sources[name].files, reading.description.modalities[name]
    if len(files) > 1:
        return refusal("signal_channels", f"{len(files)} files")
    return pool.submit(
        SIGNAL,
        file=str(files[0]),
        channels=list(modality.channels),
        rate_hz=modality.rate_hz,
        store_hz=modality.store_hz,
        longest_s=modality.seconds,
        full_scale=modality.full_scale,
    )


def _take(reading: Reading, case: Case, name: str, answer: "Future[Outcome]") -> Found:
    reply, arrays = answer.result().value()
    require_recorded(reading, case, name, str(reply["recorded"]))
    return Found(arrays["samples"], {"case_id": case.case_id, "modality": name, **reply["facts"]})
