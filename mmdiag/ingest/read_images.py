"""Images of some cases: each is read as the store keeps it, and its header says whose it is."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from functools import partial

from mmdiag.cohort.cases import Case
from mmdiag.ingest.read import Found, Reading, Wait, require_patient, require_recorded
from mmdiag.readers.imaging.colour import AUTO
from mmdiag.sandbox.pool import Outcome, Sandbox

IMAGE = "image"
SECONDS_A_FILE = 0.5  # added to a request's time for every file after the first


def read_images(
    reading: Reading, pool: Sandbox, cases: Sequence[Case], name: str
) -> Mapping[str, Wait]:
    """Ask for the images of a modality."""
    return {
        case.case_id: partial(_take, reading, case, name, _ask(reading, pool, case, name))
        for case in cases
    }


def _ask(reading: Reading, pool: Sandbox, case: Case, name: str) -> "Future[Outcome]":
    source, modality = case.sources[name], reading.description.modalities[name]
    overridden = reading.is_overridden(case.case_id, name, "burned_in")
    return pool.submit(
        IMAGE,
        seconds=pool.seconds + SECONDS_A_FILE * (len(source.files) - 1),
        files=[str(file) for file in source.files],
        select=dict(modality.select),
        size=modality.size,
        slices=modality.slices,
        window=modality.window,
        burned_in="accept" if overridden else modality.burned_in,
        colour=modality.options.get("colour", AUTO),
    )


def _take(reading: Reading, case: Case, name: str, answer: "Future[Outcome]") -> Found | None:
    reply, arrays = answer.result().value()
    if reply is None:
        return None
    require_patient(reading, case, name, str(reply["patient_id"]))
    reading.identifiers[case.case_id] += [str(part) for part in reply["identifiers"]]
    require_recorded(reading, case, name, str(reply["recorded"]))
    reading.displays.keep(case.case_id, name, reply["display"], arrays["display"])
    facts = {"case_id": case.case_id, "modality": name, **reply["facts"]}
    left_out = [str(name) for name in reply["left_out"]]
    extra = {"pose": reply["pose"], "left_out": left_out, "in_colour": reply.get("in_colour")}
    return Found(arrays["stack"], facts, extra | {"colours": arrays.get("colours")})
