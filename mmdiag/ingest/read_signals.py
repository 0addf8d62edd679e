"""Signals of some cases."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from functools import partial

from mmdiag.cohort.cases import Case
from mmdiag.errors import ReadError
from mmdiag.ingest.read import (
    Found,
    Reading,
    Wait,
    refusal,
    require_patient,
    require_recorded,
)
from mmdiag.readers.signals.recording import MILLIVOLT, the_signal
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
    modality = reading.description.modalities[name]
    try:
        file = the_signal(case.sources[name].files)
    except ReadError as several:
        return refusal(several.code, several.detail)
    return pool.submit(
        SIGNAL,
        file=str(file),
        channels=list(modality.channels),
        rate_hz=modality.rate_hz,
        store_hz=modality.store_hz,
        longest_s=modality.seconds,
        full_scale=modality.full_scale,
        unit=modality.options.get("unit", MILLIVOLT),
    )


def _take(reading: Reading, case: Case, name: str, answer: "Future[Outcome]") -> Found:
    reply, arrays = answer.result().value()
    require_patient(reading, case, name, str(reply["patient_id"]))
    reading.identifiers[case.case_id] += [str(part) for part in reply["identifiers"]]
    require_recorded(reading, case, name, str(reply["recorded"]))
    facts = {"case_id": case.case_id, "modality": name, **reply["facts"]}
    said = {part: reply[part] for part in ("renamed", "missing")}
    return Found(arrays["samples"], facts, {"recording": said})
