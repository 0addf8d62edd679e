"""`ChangePlan`: the rules by which a challenger may follow a champion, written in advance.

`change_plan.yaml` beside cohort.toml has the three sections of a predetermined change control plan.

Reference:
    FDA 2024, Marketing Submission Recommendations for a Predetermined Change Control Plan for
    Artificial Intelligence-Enabled Device Software Functions.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mmdiag.errors import UnknownNameError, UsageError
from mmdiag.workspace import write_text

FILE = "change_plan.yaml"
MODIFICATIONS, PROTOCOL, IMPACT = SECTIONS = (
    "description_of_modifications",
    "modification_protocol",
    "impact_assessment",
)
CASES, MODALITIES = CHANGES = ("cases", "modalities")
TEMPLATE = """\
# The rules by which `mmdiag refit` lets a challenger follow the champion; written before it is
# trained. A rule that is broken for certain refuses the challenger; where the cases do not decide,
# it is held, and a person may promote it (`mmdiag models promote`).
description_of_modifications:
  # In what a challenger may differ from the champion: cases (it learned from more of them),
  # modalities (it reads others). The recipe is always the champion's.
  may_change: [cases]
modification_protocol:
  # Both are judged on the same cases, which neither has learned from: of these at least so many,
  # and of the rarer class or of events at least so many.
  least_cases: 100
  least_of_a_kind: 20
  # Whether the newest review of a case without a recorded outcome is a label to learn from: what
  # an override says, or the answer that was agreed with. Nothing is ever judged by a review. Who
  # has seen an answer agrees with it too often: such labels teach a model its own mistakes.
  reviews_are_labels: false
  # From which probability an answer is positive, for the sensitivity; null = as the task says.
  threshold: null
  # Resamples of subjects for every interval.
  resamples: 2000
impact_assessment:
  # AUROC or concordance: promoted where it is better for certain and by at least this, refused
  # where it is worse for certain by more than this.
  margin: 0.01
  # Expected calibration error: refused where it is larger for certain by more than this.
  calibration_margin: 0.02
  # Sites and groups with at least so many cases, and of each class or of events at least so many:
  # refused where one has a lower metric or sensitivity for certain by more than the margin.
  subgroup_margin: 0.02
  subgroup_least_cases: 50
  subgroup_least_of_a_kind: 10
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangePlan:
    """The rules of a plan; what each means stands in `TEMPLATE`.

    Args:
        written: Whether there is a file; without one the built-in plan holds.
    """

    may_change: tuple[str, ...] = (CASES,)
    least_cases: int = 100
    least_of_a_kind: int = 20
    reviews_are_labels: bool = False
    threshold: float | None = None
    resamples: int = 2000
    margin: float = 0.01
    calibration_margin: float = 0.02
    subgroup_margin: float = 0.02
    subgroup_least_cases: int = 50
    subgroup_least_of_a_kind: int = 10
    written: bool = False


def read_plan(cohort_file: Path) -> ChangePlan:
    """The plan beside a cohort.toml; the built-in one where there is no file.

    Raises:
        UsageError: It is no YAML, or says something that is not known.
    """
    file = cohort_file.parent / FILE
    if not file.is_file():
        return ChangePlan()
    try:
        said = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{FILE} must be YAML, it is not ({type(error).__name__}): `mmdiag refit --write-plan` "
            "writes one to edit."
        ) from None
    return ChangePlan(**_rules(said), written=True)


def write_plan(cohort_file: Path) -> Path:
    """Write the built-in plan beside a cohort.toml, to be edited.

    Raises:
        UsageError: There is one already.
    """
    file = cohort_file.parent / FILE
    if file.exists():
        raise UsageError(f"A plan is written once, {file} is there: edit it, or remove it first.")
    write_text(file, TEMPLATE)
    return file


def _rules(said: Any) -> dict[str, Any]:
    built_in = yaml.safe_load(TEMPLATE)
    parts = list(said.values()) if isinstance(said, Mapping) else [said]
    if not isinstance(said, Mapping) or not all(isinstance(p or {}, Mapping) for p in parts):
        raise UsageError(
            f"{FILE} holds the sections {', '.join(SECTIONS)} with their rules, this one does not: "
            "compare it with what `mmdiag refit --write-plan` writes."
        )
    rules: dict[str, Any] = {}
    for section, part in said.items():
        if section not in SECTIONS:
            raise UnknownNameError("A section of a plan", str(section), SECTIONS)
        for name, value in (part or {}).items():
            if name not in built_in[section]:
                raise UnknownNameError(f"A rule of {section}", str(name), built_in[section])
            built = built_in[section][name]
            if name == "may_change":
                rules[name] = _changes(value)
            else:
                made = _switch if isinstance(built, bool) else _number
                rules[name] = made(name, value, built)
    return rules


def _changes(value: Any) -> tuple[str, ...]:
    given = tuple(map(str, value if isinstance(value, list) else [value]))
    for name in given:
        if name not in CHANGES:
            raise UnknownNameError("What a plan lets change", name, CHANGES)
    return given


def _switch(name: str, value: Any, _built_in: bool) -> bool:
    if not isinstance(value, bool):
        raise UsageError(f"{name} of a plan is true or false, found {value!r}: write one.")
    return value


def _number(name: str, value: Any, built_in: int | float | None) -> int | float | None:
    """A number of the kind of the built-in one; counts are 1 or more. None where that is, too."""
    if value is None and built_in is None:
        return None
    whole = isinstance(built_in, int)
    if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
        kind = "a whole number" if whole else "a number"
        raise UsageError(f"{name} of a plan is {kind}, found {value!r}: write one.")
    least = 1 if whole else 0
    if not value >= least:
        raise UsageError(f"{name} of a plan is at least {least}, found {value}: raise it.")
    return value if whole else float(value)
