"""A DocumentReference or DiagnosticReport as a note: one set of rules for a file of its own and for
an export.

Reference:
    FHIR R4 2.42 DocumentReference, 10.3 DiagnosticReport.
"""

from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from mmdiag.readers.documents.attachments import Attachment, attachment_of
from mmdiag.readers.documents.html import html_text
from mmdiag.readers.recorded import last_day, latest

FINAL: Final = ("final", "amended", "corrected", "appended")
NOTES: Final = ("DocumentReference", "DiagnosticReport")


def is_final(resource: Mapping[str, Any]) -> bool:
    """Whether a document or report holds: it was not withdrawn, superseded or entered in error, and
    is no draft. A status that is not there says nothing against it.
    """
    status = resource.get("status")
    if resource.get("resourceType") == "DocumentReference":
        return status in (None, "current") and resource.get("docStatus") in (None, *FINAL)
    return status is None or status in FINAL


def attachments_of(resource: Mapping[str, Any]) -> tuple[Attachment, ...]:
    """The attachments of a document (`content`) or a report (`presentedForm`)."""
    if resource.get("resourceType") == "DocumentReference":
        found = [entry.get("attachment") for entry in _dicts(resource, "content")]
    else:
        found = [*_dicts(resource, "presentedForm")]
    return tuple(attachment_of(item) for item in found if isinstance(item, dict))


def stated_text(resource: Mapping[str, Any], name: str) -> str:
    """What a report says itself where it has no attachment: its conclusion, else its narrative."""
    conclusion = resource.get("conclusion")
    if isinstance(conclusion, str) and conclusion.strip():
        return f"Conclusion:\n{conclusion.strip()}"
    narrative = resource.get("text")
    div = narrative.get("div") if isinstance(narrative, dict) else None
    report = resource.get("resourceType") == "DiagnosticReport"
    return html_text(div, name) if isinstance(div, str) and report else ""


def written_day(resource: Mapping[str, Any]) -> date | None:
    """The latest day that a document or report gives itself; a period counts by its end."""
    context = resource.get("context")
    stated = [
        *(resource.get(key) for key in ("date", "effectiveDateTime", "issued")),
        *(_end(resource.get(key)) for key in ("effectivePeriod", "period")),
        _end(context.get("period")) if isinstance(context, dict) else None,
    ]
    return latest(last_day(one) for one in stated if isinstance(one, str))


def replaced_by(resource: Mapping[str, Any]) -> tuple[str, ...]:
    """References to the documents that a document replaces."""
    found = []
    for item in _dicts(resource, "relatesTo"):
        code = item.get("code")
        codes = [one.get("code") for one in _dicts(code, "coding")] if code is not None else []
        target = item.get("target")
        reference = target.get("reference") if isinstance(target, dict) else None
        if isinstance(reference, str) and "replaces" in (code, *codes):
            found.append(reference)
    return tuple(found)


def _end(period: Any) -> Any:
    return period.get("end") if isinstance(period, dict) else None


def _dicts(value: Any, name: str) -> list[dict[str, Any]]:
    found = value.get(name) if isinstance(value, dict) else None
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []
