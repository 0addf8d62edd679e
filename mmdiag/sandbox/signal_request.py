"""The request of a signal: one recording as the store keeps it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mmdiag.privacy.dicom_attributes import PATIENT_ATTRIBUTES, header_identifiers
from mmdiag.readers.embedded_dates import wav_day
from mmdiag.readers.recorded import latest
from mmdiag.readers.signals.recording import MILLIVOLT, open_recording, read_signal
from mmdiag.readers.signals.stored import content_hash, to_stored_signal
from mmdiag.sandbox.image_request import Reply, json_facts


def signal(
    file: str,
    channels: Sequence[str],
    rate_hz: float | None,
    store_hz: float,
    longest_s: float,
    full_scale: float,
    unit: str = MILLIVOLT,
) -> Reply:
    """Read one signal as the store keeps it.

    Args:
        channels: Names of its channels; none = it has one.
        rate_hz: Samples a second of a table that does not say.
        store_hz, longest_s, full_scale: Rate, longest length and largest value of what is stored.
        unit: That samples are brought to, where the file says its own.

    Returns:
        Facts for the data contract, `recorded` (ISO date, or empty), what is said of the person
        (`patient_id`, `identifiers`), what is said to people (`renamed`, `missing`), and the array
        `samples` (time, channel).

    Raises:
        ReadError: As `readers.signals.recording.read_signal`.
    """
    path = Path(file)
    found = read_signal(
        path, channels, rate_hz=rate_hz, seconds=longest_s, unit=unit, keywords=PATIENT_ATTRIBUTES
    )
    stored = to_stored_signal(found, rate_hz=store_hz, seconds=longest_s, full_scale=full_scale)
    low, high = float(np.nanmin(found.samples)), float(np.nanmax(found.samples))
    there = ~np.isnan(found.samples).any(axis=0)
    flat = (stored.samples == stored.samples[:1]).all(axis=0) & there
    facts = {
        "n_samples": len(stored.samples),
        "n_channels": stored.samples.shape[1],
        "n_missing": len(found.missing),
        "rate_hz": found.rate_hz,
        "seconds": found.seconds,
        "low": low,
        "high": high,
        "share_of_scale": max(abs(low), abs(high)) / full_scale,
        "share_clipped": stored.share_clipped,
        "n_flat": int(flat.sum()),
        "pixel_sha256": content_hash(stored.samples),
    }
    recorded = latest([wav_day(path), found.recorded])
    return {
        "facts": json_facts(facts),
        "recorded": recorded.isoformat() if recorded else "",
        "patient_id": next(iter(found.patient.get("PatientID", ())), ""),
        "identifiers": list(header_identifiers(found.patient)),
        "renamed": dict(found.renamed),
        "missing": list(found.missing),
    }, {"samples": stored.samples}


def signal_channels(file: str) -> Reply:
    """The names and units of a recording's channels, by its header alone."""
    leads = open_recording(Path(file))
    return {"names": list(leads.names), "units": list(leads.units)}, {}
