"""Each rule on leakage is broken by a cohort made for it, and by no other; a sound cohort breaks
none.
"""

import re

import numpy as np
import pandas as pd
import pytest
from leakage_builders import BINARY, SURVIVAL, N, make_cohort, make_hash, make_note

from mmdiag.errors import ContractError, UsageError
from mmdiag.leakage.audit import SEVERITY, WHY, Leakage, audit_leakage
from mmdiag.leakage.near_duplicates import near_pictures
from mmdiag.reasons import REASONS
from mmdiag.task import Task


def broken(found: Leakage):
    """Code -> column of what is broken; a result names its rule, its reason and its severity."""
    code = {REASONS[code].rule: code for code in SEVERITY}
    assert all(
        one.contract == "leakage" and one.severity == SEVERITY[code[one.rule]]
        for one in found.results
    )
    assert all(one.why.startswith(WHY[code[one.rule]]) for one in found.results)
    return {code[one.rule]: one for one in found.results if not one.passed}


def same_image(cohort):
    cohort["fingerprints"].loc[[4, 9], "pixel_sha256"] = "f" * 64


def near_same_image(cohort):
    cohort["fingerprints"].loc[9, "perceptual"] = make_hash(4, flipped=(0, 40, 80, 120, 160, 200))


def same_note(cohort):
    cohort["notes"]["note"]["c9"] = cohort["notes"]["note"]["c4"].upper().replace(" ", "\n  ")


def template_note(cohort):
    cohort["notes"]["note"] |= dict.fromkeys(("c4", "c9"), "See the previous report.")


def label_in_note(cohort):
    cohort["notes"]["note"]["c9"] += " Final diagnosis: grade III."
    cohort["label_patterns"] = (r"grade\s+(II|IV)\b", r"final\s+diagnosis:?\s+grade")


def class_in_note(cohort):
    cohort["notes"]["note"]["c9"] += " Oedema of both lungs."


def label_in_input(cohort):
    cohort["tables"]["genes"]["coded"] = np.where(cohort["cases"]["label"] == 1, 7.0, np.nan)


def label_by_input(cohort):
    cohort["tables"]["genes"]["score"] = cohort["cases"]["label"].to_numpy() * 10 + np.arange(N) / N


def label_by_absence(cohort):
    cohort["cases"]["has_note"] = (cohort["cases"]["label"] == 1) | (np.arange(N) % 4 == 0)


def label_by_site(cohort):
    cohort["cases"]["site"] = np.where(cohort["cases"]["label"] == 1, "north", "south")


BREAKERS = {
    f.__name__: f
    for f in (
        same_image,
        near_same_image,
        same_note,
        template_note,
        label_in_note,
        class_in_note,
        label_in_input,
        label_by_input,
        label_by_absence,
        label_by_site,
    )
}
FAILED = {  # case keys; rules on the whole cohort name none
    "same_image": {"c4", "c9"},
    "near_same_image": {"c4", "c9"},
    "same_note": {"c4", "c9"},
    "template_note": {"c4", "c9"},
    "label_in_note": {"c9"},
    "class_in_note": {"c9"},
}


def test_every_rule_has_a_reason_a_severity_and_a_cohort_that_breaks_it():
    assert set(SEVERITY) == set(WHY) == set(BREAKERS) <= set(REASONS)


@pytest.mark.parametrize("task", [BINARY, SURVIVAL])
def test_a_sound_cohort_breaks_no_rule(task):
    found = audit_leakage(**make_cohort(task=task))
    assert broken(found) == {} and found.refused == []
    assert {one.rule for one in found.results if not one.checked} == {
        REASONS["template_note"].rule
    }, "no note is short, everything else is judged"
    found.raise_if_blocked()


@pytest.mark.parametrize("code", BREAKERS)
def test_each_rule_is_broken_by_its_cohort_alone_and_what_it_quarantines_is_named(code):
    cohort = make_cohort()
    BREAKERS[code](cohort)
    found = audit_leakage(**cohort)
    hit = broken(found)
    assert set(hit) == {code}
    assert set(hit[code].failed_rows) == FAILED.get(code, set()) and hit[code].failed >= 1
    modality = "scan" if "image" in code else "note"
    wanted = (
        {(case, modality, code) for case in FAILED.get(code, ())}
        if SEVERITY[code] == "quarantine"
        else set()
    )
    assert {(case, name, reason) for case, name, reason, _ in found.refused} == wanted


def test_what_is_said_names_the_other_case_and_no_text_of_a_note():
    cohort = make_cohort()
    for breaker in (same_image, same_note, label_in_note):
        breaker(cohort)
    found = audit_leakage(**cohort)
    assert ("c4", "scan", "same_image", "the same content as case c9") in found.refused
    assert ("c9", "scan", "same_image", "the same content as case c4") in found.refused
    assert (
        "c4",
        "note",
        "same_note",
        "the same text as case c9",
    ) not in found.refused  # the note of c9 goes on, theirs differ
    assert ("c9", "note", "label_in_note", "pattern 2 of label_patterns matches") in found.refused
    said = " ".join(
        [*(one.why for one in found.results), *(detail for *_, detail in found.refused)]
    )
    assert "grade" not in said and "lungs" not in said


def test_two_cases_of_one_subject_may_look_alike_and_share_a_note():
    cohort = make_cohort()
    cohort["fingerprints"].loc[1, "perceptual"] = cohort["fingerprints"].loc[0, "perceptual"]
    cohort["notes"]["note"] |= dict.fromkeys(("c0", "c1"), make_note(99))
    assert broken(audit_leakage(**cohort)) == {}


def test_an_image_under_two_cases_of_one_subject_counts_twice_and_is_refused():
    cohort = make_cohort()
    assert not audit_leakage(**cohort).refused, "two cases of one person are none"
    cohort["fingerprints"].loc[[0, 1], "pixel_sha256"] = "e" * 64
    assert ("c1", "scan", "same_image", "the same content as case c0") in audit_leakage(
        **cohort
    ).refused


def test_an_image_under_another_modality_of_another_subject_is_the_same_image():
    cohort = make_cohort()
    other = (
        cohort["fingerprints"]
        .iloc[[9]]
        .assign(modality="second", pixel_sha256=cohort["fingerprints"]["pixel_sha256"][4])
    )
    cohort["fingerprints"] = pd.concat([cohort["fingerprints"], other], ignore_index=True)
    assert {(case, name) for case, name, *_ in audit_leakage(**cohort).refused} == {
        ("c4", "scan"),
        ("c9", "second"),
    }


def test_a_block_names_the_column_and_its_cure_and_no_value():
    cohort = make_cohort()
    label_in_input(cohort)
    with pytest.raises(
        ContractError,
        match=r"No column of an input is the label .*genes.* Columns: coded\. Leave the column "
        r"out by `exclude`",
    ) as caught:
        audit_leakage(**cohort).raise_if_blocked()
    assert "7" not in str(caught.value)


@pytest.mark.parametrize(
    ("column", "code"),
    [("time", "label_in_input"), ("event", "label_in_input"), ("days", "label_by_input")],
)
def test_the_time_and_the_event_of_a_survival_task_are_labels(column, code):
    cohort = make_cohort(task=SURVIVAL)
    values = cohort["cases"].assign(days=cohort["cases"]["time"] * -30.4)[column]
    cohort["tables"]["genes"]["leak"] = values.to_numpy(np.float32)
    assert set(broken(audit_leakage(**cohort))) == {code}


def test_a_class_of_several_that_one_column_tells_from_the_rest_is_seen():
    cohort = make_cohort(task=Task(kind="multiclass", classes=("one", "two", "three")))
    cohort["cases"]["label"] = np.arange(N) % 3 * 1.0
    cohort["tables"]["genes"]["grade"] = np.arange(N) % 3 + 10.0
    cohort["tables"]["genes"]["third"] = (
        np.where(np.arange(N) % 3 == 2, 5.0, 0.0) + np.random.default_rng(1).normal(size=N) / 9
    )
    found = broken(audit_leakage(**cohort))
    assert (
        "grade" in found["label_in_input"].why
        and "third" in found["label_by_input"].why
        and "grade" not in found["label_by_input"].why
    )


def test_few_cases_and_rare_classes_prove_nothing_about_a_column():
    cohort = make_cohort()
    cohort["cases"]["label"] = (np.arange(N) == 5) * 1.0
    cohort["tables"]["genes"]["mutated"] = (np.arange(N) == 5) * 1.0
    assert set(broken(audit_leakage(**cohort))) == set(), (
        "one case of 80 in a class: a rare mutation may hit it by chance"
    )
    six = make_cohort(n=6)
    six["tables"]["genes"]["coded"] = six["cases"]["label"].to_numpy()
    assert "label_in_input" not in broken(audit_leakage(**six))


def test_a_class_that_both_classes_mention_alike_and_names_that_are_no_words_are_no_leak():
    cohort = make_cohort()
    cohort["notes"]["note"] = {
        case: f"{text} No oedema." for case, text in cohort["notes"]["note"].items()
    }
    assert broken(audit_leakage(**cohort)) == {}
    for name in ("yes", "3", "II", "positive"):
        named = make_cohort(task=Task(kind="binary", classes=(f"not {name}", name)))
        named["notes"]["note"]["c9"] += f" Answer: {name}."
        assert broken(audit_leakage(**named)) == {}, name


@pytest.mark.parametrize(
    ("pattern", "fault"),
    [
        ("(", "is not a regular expression"),
        ("x" * 501, "longer than 500 characters"),
        (".*", "matches an empty text"),
        ("", "matches an empty text"),
    ],
)
def test_a_wrong_pattern_is_refused_by_its_number(pattern, fault):
    with pytest.raises(UsageError, match=rf"number 2 .*{fault}.*correct it in cohort.toml"):
        audit_leakage(**make_cohort(), label_patterns=("sound", pattern))


def test_a_pattern_that_never_ends_is_stopped(monkeypatch):
    monkeypatch.setattr("mmdiag.leakage.label_text.SECONDS", 0.2)
    cohort = make_cohort()
    cohort["notes"]["note"] = {"c9": "a" * 60 + "!" + make_note(1)}
    with pytest.raises(
        UsageError,
        match=r"number 1 does not on that of c9: write it without repetitions inside repetitions",
    ):
        audit_leakage(**cohort, label_patterns=(r"^(?:a|aa|aaa)+$",))


def test_a_cohort_without_labels_images_notes_or_tables_is_judged_for_what_it_has():
    cohort = make_cohort()
    cohort["cases"]["label"] = np.nan
    cohort |= {"notes": {"note": {}}, "tables": {}, "fingerprints": cohort["fingerprints"].iloc[:0]}
    cohort["cases"] = (
        cohort["cases"].drop(columns=["has_scan", "has_note", "has_genes"]).assign(site=pd.NA)
    )
    assert broken(audit_leakage(**cohort)) == {}


def brute_force(hashes, subjects):
    words = np.frombuffer(bytes.fromhex("".join(hashes)), dtype=np.uint8).reshape(-1, 32)
    distance = np.bitwise_count(words[:, None] ^ words[None]).sum(-1)
    return {
        (i, j)
        for i, j in zip(*np.nonzero(distance <= 6), strict=True)
        if i < j and subjects[i] != subjects[j]
    }


def test_near_pictures_are_those_that_every_pair_compared_finds():
    generator = np.random.default_rng(5)
    hashes = [make_hash(i) for i in range(120)]
    for i in range(0, 60, 2):
        hashes[i + 1] = make_hash(i, flipped=generator.choice(256, i % 12, replace=False))
    subjects = generator.integers(0, 100, 120)
    wanted = brute_force(hashes, subjects)
    assert {tuple(pair) for pair in near_pictures(hashes, subjects).tolist()} == wanted and len(
        wanted
    ) > 15


def test_blank_pictures_are_near_nobody():
    blank = [f"{1 << i:064x}" for i in range(40)] + [
        f"{(1 << 256) - 1 - (1 << i):064x}" for i in range(40)
    ]
    assert near_pictures(blank, np.arange(80)).tolist() == []


def test_every_picture_of_a_crowd_with_one_hash_is_paired_once_with_another_subject():
    pairs = near_pictures(
        [make_hash(3)] * 500 + [make_hash(3, flipped=(9,))], np.asarray([0] * 499 + [1, 2])
    )
    assert set(pairs.ravel().tolist()) == set(range(501)) and len(pairs) < 1010


def test_no_message_of_a_reason_holds_a_placeholder():
    assert not [
        code
        for code in SEVERITY
        if re.search(r"[{}]", REASONS[code].rule + REASONS[code].cure + WHY[code])
    ]


def with_faults(values, rows):
    values = np.array(values, dtype=float)
    values[list(rows)] = values[list(rows)[::-1]]
    return values


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("copied with two faults", lambda label: with_faults(label, [4, 9])),
        (
            "ordered with two faults",
            lambda label: with_faults(label * 50 + np.arange(N) % 7, [4, 9]),
        ),
        ("measured in one class alone", lambda label: np.where(label == 1, np.arange(N), np.nan)),
        (
            "measured in one class and twice in the other",
            lambda label: np.where((label == 1) | (np.arange(N) < 3), np.arange(N) % 9, np.nan),
        ),
    ],
)
def test_a_column_that_nearly_tells_the_label_is_named(name, make):
    cohort = make_cohort()
    cohort["tables"]["genes"]["leak"] = make(cohort["cases"]["label"].to_numpy())
    found = audit_leakage(**cohort)
    assert set(broken(found)) == {"label_by_input"}, name
    (leak,) = found.leaks
    assert (leak.code, leak.modality) == ("label_by_input", "genes")
    assert leak.fact == "Columns that nearly do: leak."


def test_a_column_that_nearly_orders_the_times_is_named():
    cohort = make_cohort(task=SURVIVAL)
    noise = np.random.default_rng(3).normal(scale=4, size=N)
    cohort["tables"]["genes"]["leak"] = cohort["cases"]["time"].to_numpy() + noise
    (leak,) = audit_leakage(**cohort).leaks
    assert leak.fact == "Columns that nearly do: leak."


def test_a_column_that_says_much_about_the_label_is_no_leak():
    cohort = make_cohort()
    label = cohort["cases"]["label"].to_numpy()
    cohort["tables"]["genes"]["strong"] = label + np.random.default_rng(3).normal(scale=0.6, size=N)
    assert audit_leakage(**cohort).leaks == []


def test_of_many_columns_none_nearly_tells_a_rare_class_by_chance():
    cohort = make_cohort()
    cohort["cases"]["label"] = (np.arange(N) % 20 == 5) * 1.0
    generator = np.random.default_rng(5)
    cohort["tables"]["genes"] = pd.DataFrame(
        generator.normal(size=(N, 3000)), index=cohort["cases"]["case_id"]
    )
    assert "label_by_input" not in broken(audit_leakage(**cohort))


def test_what_is_warned_of_is_a_leak_and_a_class_of_many_is_not_printed():
    cohort = make_cohort()
    class_in_note(cohort)
    (leak,) = audit_leakage(**cohort).leaks
    assert (leak.code, leak.modality) == ("class_in_note", "note")
    assert leak.fact.startswith("oedema stands in 1 of ")
    classes = ("not so", "a condition of which a patient wrote", "oedema")
    cohort["task"] = Task(kind="multiclass", classes=classes)
    cohort["cases"]["label"] = np.where(np.arange(N) == 9, 2.0, np.arange(N) % 2)
    (leak,) = audit_leakage(**cohort).leaks
    assert leak.fact.startswith("class 3 of 3 stands in 1 of ")
