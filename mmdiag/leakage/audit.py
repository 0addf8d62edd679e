"""What a cohort as a whole gives away: the same picture or note under two subjects, a label that
lies in an input, absence that tells the label.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import chi2_contingency

from mmdiag.contracts.rules import RuleResult
from mmdiag.errors import ContractError
from mmdiag.leakage.finding import SHOWN, Finding
from mmdiag.leakage.images import images_of_two, partners, under_two
from mmdiag.leakage.label_columns import columns_that_hold, columns_that_hold_times
from mmdiag.leakage.label_text import class_pattern, compiled, stating
from mmdiag.reasons import REASONS
from mmdiag.spelling import may_be_printed
from mmdiag.task import Task

LONG_NOTE = (
    200  # characters: two people may well share a shorter one, such as "See previous report."
)
RARE = 5  # cases: sites or patterns of absence with fewer are counted together
# of an association between absence and label that is worth a warning
SMALLEST_P, SMALLEST_V = (
    0.001,
    0.2,
)
SEVERITY = {
    "same_image": "quarantine",
    "near_same_image": "warn",
    "same_note": "quarantine",
    "template_note": "warn",
    "label_in_note": "quarantine",
    "class_in_note": "warn",
    "label_in_input": "block",
    "label_by_input": "warn",
    "label_by_absence": "warn",
    "label_by_site": "warn",
}
WHY = {
    "same_image": "It would be learned from as one person's and tested as another's, or count "
    "twice for one person.",
    "near_same_image": "Nearly the same picture under another key may be the same person's; a "
    "template or a phantom looks alike, too.",
    "same_note": "It would be learned from as one person's and tested as another's.",
    "template_note": "The same short text for several people says nothing of any of them.",
    "label_in_note": "The model would read the answer instead of finding it.",
    "class_in_note": "A note that names its class may give the answer away; state what does so "
    "under label_patterns.",
    "label_in_input": "The model would read the answer instead of finding it.",
    "label_by_input": "Hardly any finding is without fault; this column may have been made from "
    "the label.",
    "label_by_absence": "A model may learn who was examined instead of what was found; compare "
    "it with the baseline of availability.",
    "label_by_site": "A model may learn a site's scanner or wording instead of the disease; "
    "report results by site.",
}


@dataclass(frozen=True, slots=True)
class Leak:
    """Something that stays in the cohort and may give the label away.

    Args:
        code: A key of `mmdiag.reasons.REASONS`.
        modality: Its modality or column; empty = the cohort.
        fact: What was found, in a sentence without a patient's value.
    """

    code: str
    modality: str
    fact: str


@dataclass(frozen=True, slots=True)
class Leakage:
    """How the rules on leakage fared.

    Args:
        results: One a rule and what it is about; `failed_rows` are case keys.
        refused: (case_id, modality, code, detail) of each modality that is to be refused, each
            once.
        leaks: What is only warned of.
    """

    results: list[RuleResult]
    refused: list[tuple[str, str, str, str]]
    leaks: list[Leak]

    def raise_if_blocked(self) -> None:
        """Do nothing where no rule of severity block is broken.

        Raises:
            ContractError: An input holds the label.
        """
        for result in self.results:
            if result.severity == "block" and not result.passed:
                raise ContractError(
                    f"{result.rule} {result.column} breaks this. {result.why} "
                    f"{REASONS['label_in_input'].cure}"
                )


def audit_leakage(
    cases: pd.DataFrame,
    fingerprints: pd.DataFrame,
    notes: Mapping[str, Mapping[str, str]],
    tables: Mapping[str, pd.DataFrame],
    task: Task,
    label_patterns: Sequence[str] = (),
) -> Leakage:
    """Audit a whole cohort; nothing is changed.

    Args:
        cases: One row a case: case_id, subject_id, site, label, time, event, has_<modality>.
        fingerprints: case_id, modality, pixel_sha256, perceptual (64 hexadecimal digits); missing
            where a modality has none.
        notes: Text modality -> case -> text as a model would read it.
        tables: Table modality -> numbers, indexed by case.
        task: kind (binary, multiclass or survival), and classes in the order of their numbers.
        label_patterns: Regular expressions that state the label; without any, names of classes are
            looked for.

    Raises:
        UsageError: A pattern is none, or takes too long.
    """
    patterns = compiled(label_patterns)
    subjects = pd.Series(pd.factorize(cases["subject_id"])[0], index=cases["case_id"])
    label = cases.set_index("case_id")["event" if task.survival else "label"]
    findings = [
        *images_of_two(fingerprints, subjects),
        *_same_notes(notes, subjects),
        *_stated(notes, label, task, patterns),
    ]
    findings += [*_columns(tables, cases, label, task), *_absence(cases, label)]
    refused: dict[tuple[str, str], tuple[str, str]] = {}
    for one in findings:
        if SEVERITY[one.code] == "quarantine":
            for case_id, detail in one.failed.items():
                refused.setdefault((case_id, one.column), (one.code, detail))
    return Leakage(
        [_result(one) for one in findings],
        [(*place, *reason) for place, reason in refused.items()],
        [_leak(one) for one in findings if SEVERITY[one.code] == "warn" and _is_broken(one)],
    )


def _is_broken(one: Finding) -> bool:
    return bool(one.failed or one.fact)


def _leak(one: Finding) -> Leak:
    fact = (
        one.fact or f"{len(one.failed)} of {one.checked} cases, such as {next(iter(one.failed))}."
    )
    return Leak(one.code, one.column, fact)


def _result(one: Finding) -> RuleResult:
    return RuleResult(
        contract="leakage",
        rule=REASONS[one.code].rule,
        column=one.column,
        severity=SEVERITY[one.code],
        why=f"{WHY[one.code]} {one.fact}".strip(),
        passed=not _is_broken(one),
        failed_rows=tuple(one.failed),
        checked=one.checked,
    )


def _same_notes(notes: Mapping[str, Mapping[str, str]], subjects: pd.Series) -> Iterator[Finding]:
    for modality, texts in notes.items():
        cases = [case_id for case_id in texts if case_id in subjects.index]
        plain = [" ".join(texts[case_id].lower().split()) for case_id in cases]
        frame = pd.DataFrame(
            {
                "case_id": cases,
                "key": pd.util.hash_array(np.asarray(plain, dtype=object)),
                "length": [*map(len, plain)],
            }
        )
        frame["subject"] = frame["case_id"].map(subjects)
        copied = frame[under_two(frame["key"], frame["subject"])] if len(frame) else frame
        partner = partners(copied["key"], copied["subject"], copied["case_id"])
        detail = {row: f"the same text as case {partner[row]}" for row in copied.index}
        long = frame["length"] >= LONG_NOTE
        for code, rows, number in (
            ("same_note", copied[long[copied.index]], long.sum()),
            ("template_note", copied[~long[copied.index]], (~long).sum()),
        ):
            yield Finding(
                code,
                modality,
                int(number),
                {str(rows["case_id"][row]): detail[row] for row in rows.index},
            )


def _stated(
    notes: Mapping[str, Mapping[str, str]],
    label: pd.Series,
    task: Task,
    patterns: Sequence[Any],
) -> Iterator[Finding]:
    """Labels that stand in notes: by the task's patterns, else by the names of its classes."""
    for modality, texts in notes.items():
        if patterns:
            found = {
                case: f"pattern {number} of label_patterns matches"
                for case, number in stating(texts, patterns).items()
                if case in label.index
            }
            yield Finding("label_in_note", modality, len(texts), found)
        elif not task.survival:
            yield _named(modality, texts, label.dropna(), list(task.classes))


def _named(
    modality: str, texts: Mapping[str, str], label: pd.Series, classes: Sequence[str]
) -> Finding:
    """Notes that name their own class, where that class's notes name it more often than those of
    the others.
    """
    own = label[label.index.isin(list(texts))]
    failed: dict[str, str] = {}
    facts = []
    for number, name in enumerate(classes):
        pattern = (
            None
            if number == 0 and len(classes) == 2 and name == f"not {classes[1]}"
            else class_pattern(name)
        )
        if pattern is None:
            continue
        naming = stating({case: texts[case] for case in own.index}, [pattern])
        of_class = own == number
        inside, outside = (
            sum(of_class[case] for case in naming),
            sum(not of_class[case] for case in naming),
        )
        if inside * max(int((~of_class).sum()), 1) > outside * int(of_class.sum()):
            failed |= {case: "its note names its class" for case in naming if of_class[case]}
            shown = name if may_be_printed(classes) else f"class {number + 1} of {len(classes)}"
            facts.append(
                f"{shown} stands in {inside} of {of_class.sum()} notes of its class and in "
                f"{outside} of {(~of_class).sum()} others"
            )
    return Finding(
        "class_in_note", modality, len(own), failed, f"{'; '.join(facts)}." if facts else ""
    )


def _columns(
    tables: Mapping[str, pd.DataFrame],
    cases: pd.DataFrame,
    label: pd.Series,
    task: Task,
) -> Iterator[Finding]:
    time = cases.set_index("case_id")["time"]
    for modality, table in tables.items():
        found = [columns_that_hold(table, label)]
        if task.survival:
            found.append(columns_that_hold_times(table, time))
        same = _listed([name for one in found for name in one.same])
        ordered = _listed([name for one in found for name in one.ordered])
        nearly = _listed([name for one in found for name in one.nearly])
        by_input = [f"Columns: {ordered}."] if ordered else []
        by_input += [f"Columns that nearly do: {nearly}."] if nearly else []
        for code, fact in (
            ("label_in_input", f"Columns: {same}." if same else ""),
            ("label_by_input", " ".join(by_input)),
        ):
            yield Finding(code, modality, found[0].cases, fact=fact)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{', '.join(names[:SHOWN])}{more}"


def _absence(cases: pd.DataFrame, label: pd.Series) -> Iterator[Finding]:
    """Which modalities are there, and which site a case is from, against the label; cases without
    any modality are left out.
    """
    columns = [name for name in cases if str(name).startswith("has_")]
    has = cases[columns].to_numpy(dtype=bool)
    kept = has.any(axis=1) & label.notna().to_numpy()
    # a number for each set of modalities
    pattern = pd.Series(has @ (1 << np.arange(len(columns), dtype=np.int64)), index=cases.index)
    asked = [("label_by_absence", "", pattern)]
    asked += [("label_by_site", "site", cases["site"])] if cases["site"].notna().any() else []
    for code, column, groups in asked:
        p, strength, n = _association(
            groups[kept].reset_index(drop=True), label[kept].reset_index(drop=True)
        )
        strong = p < SMALLEST_P and strength >= SMALLEST_V
        yield Finding(
            code,
            column,
            n,
            fact=f"Cramer's V {strength:.2f} over {n} cases (chi-square, p {p:.1g})."
            if strong
            else "",
        )


def _association(groups: pd.Series, label: pd.Series) -> tuple[float, float, int]:
    """p of a chi-square test, Cramer's V (0 to 1), and the number of cases.

    Reference:
        Cramer 1946, Mathematical Methods of Statistics, 21.9.
    """
    known = groups.notna()
    groups, label = groups[known].astype(str), label[known]
    rare = groups.map(groups.value_counts()) < RARE
    counts = pd.crosstab(groups.where(~rare, "rare"), label).to_numpy()
    if min(counts.shape, default=0) < 2:
        return 1.0, 0.0, len(groups)
    test = chi2_contingency(counts, correction=False)
    return (
        float(test.pvalue),
        float(np.sqrt(test.statistic / counts.sum() / (min(counts.shape) - 1))),
        len(groups),
    )
