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
from mmdiag.exchange.fhir.json import Found
from mmdiag.exchange.fhir.resources import (
    READ,
    Document,
    Observation,
    Patient,
    Report,
    Resource,
    Study,
    read_resource,
)

UNITS = ("report", "study", "patient")


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
    report: Report | None
    studies: tuple[Study, ...]
    document: Document | None
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

    def add(self, found: Found) -> None:
        """Take one resource in; whatever is wrong with it is entered in the account."""
        kind = _kind(found.body)
        if found.refused is not None or kind is None:
            self.account.leave_nameless("unknown", found.refused or "not_fhir")
            return
        if kind not in READ:
            self.account.leave_nameless(kind, "type_not_read")
            return
        name = found.body.get("id")
        relative = f"{kind}/{name}" if isinstance(name, str) and name else None
        key = found.url or relative
        if key is None:
            self.account.leave_nameless(kind, "no_id")
        elif key in self._contents:
            self._again(key, kind, found.body)
        else:
            self._first(key, kind, relative, found.body)

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

    def _first(self, key: str, kind: str, relative: str | None, body: Mapping[str, Any]) -> None:
        self.account.see(key, kind)
        self._contents[key] = _fingerprint(body)
        if relative is not None:
            self.relative[relative].append(key)
        try:
            self.resources[key] = read_resource(key, body)
        except LeftOut as refusal:
            self.account.leave(key, refusal.why)

    def _again(self, key: str, kind: str, body: Mapping[str, Any]) -> None:
        same = self._contents[key] == _fingerprint(body)
        self.account.leave_nameless(kind, "duplicate" if same else "conflicting")
        if not same:
            self.resources.pop(key, None)
            self.account.leave(key, "conflicting")


def make_cases(found: Iterable[Found], unit: str) -> tuple[list[FhirCase], Export]:
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
    for key, held in by_patient.items():
        patient = export.resources[key]
        if isinstance(patient, Patient):
            cases += [
                _case(export, patient, start, held) for start in _starts(held, unit, export.account)
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
    held: dict[str, list[Resource]] = {
        key: [] for key, resource in export.resources.items() if isinstance(resource, Patient)
    }
    for key, resource in export.resources.items():
        if isinstance(resource, Patient):
            continue
        patient = export.resolve(resource.patient, key)
        if isinstance(patient, Patient):
            held[patient.key].append(resource)
        else:
            export.account.leave(key, "no_patient")
    return {key: sorted(rows, key=_order) for key, rows in held.items()}


def _order(resource: Resource) -> tuple[Any, ...]:
    return (
        (*resource.when.order(), resource.key)
        if not isinstance(resource, Patient)
        else (resource.key,)
    )


def _units(by_patient: Mapping[str, list[Resource]]) -> dict[str, set[str]]:
    """Code -> its units in this export."""
    units: dict[str, set[str]] = defaultdict(set)
    for held in by_patient.values():
        for resource in held:
            for code, unit, _ in resource.values if isinstance(resource, Observation) else ():
                units[code].add(unit)
    return units


def _starts(held: list[Resource], unit: str, account: Account) -> list[Report | Study]:
    """The resources of one patient that are cases."""
    reports = [resource for resource in held if isinstance(resource, Report)]
    studies = [resource for resource in held if isinstance(resource, Study)]
    if unit == "patient":
        starts: list[Report | Study] = [*(reports or studies)]
        for earlier in starts[:-1]:
            account.leave(earlier.key, "superseded")
        return starts[-1:]
    return [*reports] if unit == "report" else [*studies]


def _case(
    export: Export, patient: Patient, start: Report | Study, held: list[Resource]
) -> FhirCase:
    account, when = export.account, start.when
    report = start if isinstance(start, Report) else _report_of(export, start, held)
    studies = _studies_of(export, start, held) if isinstance(start, Report) else [start]
    documents = [one for one in held if isinstance(one, Document) and _known_by(one, when, account)]
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
        _values(held, when, export.units, account),
    )


def _known_by(resource: Study | Document | Observation, when: When, account: Account) -> bool:
    known = resource.when.not_after(when)
    if not known:
        account.leave(resource.key, "after_as_of")
    return known


def _studies_of(export: Export, report: Report, held: list[Resource]) -> list[Study]:
    """The studies that a report names; where it names none, those of the same order."""
    if report.studies:
        found = [export.resolve(reference, report.key) for reference in report.studies]
        named = [study for study in found if isinstance(study, Study)]
        mine = [study for study in named if study in held]
        for study in named:
            if study not in mine:
                export.account.leave(study.key, "other_patient")
    else:
        mine = [
            one for one in held if isinstance(one, Study) and set(one.orders) & set(report.orders)
        ]
    return [study for study in mine if _known_by(study, report.when, export.account)]


def _report_of(export: Export, study: Study, held: list[Resource]) -> Report | None:
    """The latest report that names a study, or is of the same order."""
    reports = [one for one in held if isinstance(one, Report)]
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
    held: list[Resource], when: When, units: Mapping[str, set[str]], account: Account
) -> dict[str, float]:
    """The latest number of each code; a code that comes in several units has none."""
    latest: dict[str, tuple[str, float]] = {}
    for resource in held:
        if not isinstance(resource, Observation) or not _known_by(resource, when, account):
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
