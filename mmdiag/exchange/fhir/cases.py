"""Which FHIR resources make a case: one report, one imaging study or one patient, and what of the
same patient was known by then.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mmdiag.exchange.fhir.accounting import Account, LeftOut
from mmdiag.exchange.fhir.dates import When
from mmdiag.exchange.fhir.json import ExportedResource
from mmdiag.exchange.fhir.resources import (
    READERS,
    DiagnosticReport,
    DocumentReference,
    ImagingStudy,
    Observation,
    Patient,
    Resource,
    read_resource,
)

CASE_UNITS = ("report", "study", "patient")


@dataclass(frozen=True, slots=True)
class FhirCase:
    """One case.

    Args:
        key: The resource that it is.
        when: Its date; nothing later is in it.
        values: Column name -> the latest number that is not after `when`.
    """

    key: str
    patient: Patient
    when: When
    report: DiagnosticReport | None
    studies: tuple[ImagingStudy, ...]
    document: DocumentReference | None
    values: Mapping[str, float]


@dataclass(slots=True)
class Export:
    """All resources of an export, by what they are called in it.

    Args:
        units: Code of an observation -> its units in this export.
        relative: `Type/id` -> keys of the resources of that name; several where a bundle joins
            several servers.
    """

    account: Account = field(default_factory=Account)
    resources: dict[str, Resource] = field(default_factory=dict)
    units: dict[str, set[str]] = field(default_factory=dict)
    relative: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    _contents: dict[str, int] = field(default_factory=dict)

    def add(self, found: ExportedResource) -> None:
        """Take one resource in; whatever is wrong with it is entered in the account."""
        kind = _kind(found.body)
        if found.refused is not None or kind is None:
            self.account.leave_nameless("unknown", found.refused or "not_fhir")
            return
        if kind not in READERS:
            self.account.leave_nameless(kind, "type_not_read")
            return
        name = found.body.get("id")
        relative = f"{kind}/{name}" if isinstance(name, str) and name else None
        key = found.url or relative
        if key is None:
            self.account.leave_nameless(kind, "no_id")
        elif key in self._contents:
            self._add_repeated(key, kind, found.body)
        else:
            self._add_first(key, kind, relative, found.body)

    def resolve(self, reference: str, source: str) -> Resource | None:
        """What a reference of a resource means; None where it is not in the export, or could mean
        several.

        Reference:
            FHIR R4 3.3.4, resolving references in bundles.
        """
        wanted = reference.split("/_history/")[0]
        if wanted in self.resources:
            return self.resources[wanted]
        base = source.rsplit("/", 2)[0] if source.startswith(("http://", "https://")) else None
        if base is not None and f"{base}/{wanted}" in self.resources:
            return self.resources[f"{base}/{wanted}"]
        named = self.relative.get(wanted, [])
        return self.resources.get(named[0]) if len(named) == 1 else None

    def _add_first(
        self, key: str, kind: str, relative: str | None, body: Mapping[str, Any]
    ) -> None:
        self.account.see(key, kind)
        self._contents[key] = _fingerprint(body)
        if relative is not None:
            self.relative[relative].append(key)
        try:
            self.resources[key] = read_resource(key, body)
        except LeftOut as refusal:
            self.account.leave(key, refusal.why)

    def _add_repeated(self, key: str, kind: str, body: Mapping[str, Any]) -> None:
        same = self._contents[key] == _fingerprint(body)
        self.account.leave_nameless(kind, "duplicate" if same else "conflicting")
        if not same:
            self.resources.pop(key, None)
            self.account.leave(key, "conflicting")


def make_cases(found: Iterable[ExportedResource], unit: str) -> tuple[list[FhirCase], Export]:
    """Cases of an export, in the order of their keys, and the account of what became of each
    resource.

    Args:
        unit: What one case is: a `report`, a `study`, or a `patient` by the latest report, else
            study.
    """
    export = Export()
    for resource in found:
        export.add(resource)
    by_patient = _by_patient(export)
    export.units = _units(by_patient)
    cases = []
    for key, resources in by_patient.items():
        patient = export.resources[key]
        if isinstance(patient, Patient):
            cases += [
                _case(export, patient, start, resources)
                for start in _index_resources(resources, unit, export.account)
            ]
    return sorted(cases, key=lambda case: case.key), export


def _kind(body: Mapping[str, Any]) -> str | None:
    kind = body.get("resourceType")
    return (
        kind
        if isinstance(kind, str) and kind.isascii() and kind.isalpha() and len(kind) <= 40
        else None
    )


def _fingerprint(body: Mapping[str, Any]) -> int:
    return hash(json.dumps(body, sort_keys=True))


def _by_patient(export: Export) -> dict[str, list[Resource]]:
    """What each patient has, oldest first."""
    resources: dict[str, list[Resource]] = {
        key: [] for key, resource in export.resources.items() if isinstance(resource, Patient)
    }
    for key, resource in export.resources.items():
        if isinstance(resource, Patient):
            continue
        patient = export.resolve(resource.patient, key)
        if isinstance(patient, Patient):
            resources[patient.key].append(resource)
        else:
            export.account.leave(key, "no_patient")
    return {key: sorted(rows, key=_order) for key, rows in resources.items()}


def _order(resource: Resource) -> tuple[Any, ...]:
    return (
        (*resource.when.order(), resource.key)
        if not isinstance(resource, Patient)
        else (resource.key,)
    )


def _units(by_patient: Mapping[str, list[Resource]]) -> dict[str, set[str]]:
    """Code -> its units in this export."""
    units: dict[str, set[str]] = defaultdict(set)
    for resources in by_patient.values():
        for resource in resources:
            for code, unit, _ in resource.values if isinstance(resource, Observation) else ():
                units[code].add(unit)
    return units


def _index_resources(
    resources: list[Resource], unit: str, account: Account
) -> list[DiagnosticReport | ImagingStudy]:
    """The resources of one patient that are cases."""
    reports = [resource for resource in resources if isinstance(resource, DiagnosticReport)]
    studies = [resource for resource in resources if isinstance(resource, ImagingStudy)]
    if unit == "patient":
        starts: list[DiagnosticReport | ImagingStudy] = [*(reports or studies)]
        for earlier in starts[:-1]:
            account.leave(earlier.key, "superseded")
        return starts[-1:]
    return [*reports] if unit == "report" else [*studies]


def _case(
    export: Export,
    patient: Patient,
    start: DiagnosticReport | ImagingStudy,
    resources: list[Resource],
) -> FhirCase:
    account, when = export.account, start.when
    report = start if isinstance(start, DiagnosticReport) else _report_of(export, start, resources)
    studies = (
        _studies_of(export, start, resources) if isinstance(start, DiagnosticReport) else [start]
    )
    documents = [
        one
        for one in resources
        if isinstance(one, DocumentReference) and _is_dated_by(one, when, account)
    ]
    replaced = [export.resolve(old, one.key) for one in documents for old in one.replaces]
    documents.sort(key=lambda one: one not in replaced)  # the one that holds, the latest, is last
    for earlier in documents[:-1]:
        account.leave(earlier.key, "superseded")
    for resource in (patient, report, *studies):
        if resource is not None:
            account.use(resource.key)
    return FhirCase(
        start.key,
        patient,
        when,
        report,
        tuple(studies),
        documents[-1] if documents else None,
        _values(resources, when, export.units, account),
    )


def _is_dated_by(
    resource: ImagingStudy | DocumentReference | Observation, when: When, account: Account
) -> bool:
    by_then = resource.when.not_after(when)
    if not by_then:
        account.leave(resource.key, "after_as_of")
    return by_then


def _studies_of(
    export: Export, report: DiagnosticReport, resources: list[Resource]
) -> list[ImagingStudy]:
    """The studies that a report names; where it names none, those of the same order."""
    if report.studies:
        found = [export.resolve(reference, report.key) for reference in report.studies]
        named = [study for study in found if isinstance(study, ImagingStudy)]
        mine = [study for study in named if study in resources]
        for study in named:
            if study not in mine:
                export.account.leave(study.key, "other_patient")
    else:
        mine = [
            one
            for one in resources
            if isinstance(one, ImagingStudy) and set(one.orders) & set(report.orders)
        ]
    return [study for study in mine if _is_dated_by(study, report.when, export.account)]


def _report_of(
    export: Export, study: ImagingStudy, resources: list[Resource]
) -> DiagnosticReport | None:
    """The latest report that names a study, or is of the same order."""
    reports = [one for one in resources if isinstance(one, DiagnosticReport)]
    naming = [
        one
        for one in reports
        if any(export.resolve(reference, one.key) is study for reference in one.studies)
    ]
    of_order = [one for one in reports if not one.studies and set(one.orders) & set(study.orders)]
    for earlier in (found := naming or of_order)[:-1]:
        export.account.leave(earlier.key, "superseded")
    return found[-1] if found else None


def _values(
    resources: list[Resource], when: When, units: Mapping[str, set[str]], account: Account
) -> dict[str, float]:
    """The latest number of each code; a code that comes in several units has none."""
    latest: dict[str, tuple[str, float]] = {}
    for resource in resources:
        if not isinstance(resource, Observation) or not _is_dated_by(resource, when, account):
            continue
        single = [
            (code, unit, number) for code, unit, number in resource.values if len(units[code]) == 1
        ]
        account.leave(resource.key, "superseded" if single else "several_units")
        latest |= {
            f"{code}_{unit}" if unit else code: (resource.key, number)
            for code, unit, number in single
        }
    for key, _ in latest.values():
        account.use(key)
    return {column: number for column, (_, number) in latest.items()}
