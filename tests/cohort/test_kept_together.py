"""Cases that share a source stand on one side of every split, whatever the cohort; the folds' draws
are their own.
"""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmdiag.cohort.case_table import read_cases
from mmdiag.cohort.kept_together import group_numbers, split_units
from mmdiag.cohort.splits import inner_folds, read_or_make_split, validation_subjects
from mmdiag.config import EvaluationConfig
from mmdiag.description import read_description
from mmdiag.errors import ContractError, DescriptionError, UsageError

ROW = st.tuples(
    st.integers(0, 40),  # subject
    st.one_of(st.none(), st.integers(0, 25)),  # source
    st.sampled_from([0.0, 1.0, np.nan]),
)


def table_of(rows):
    """Cases of (subject, source, stratum); a subject has one stratum, that of its first case."""
    first = {}
    for subject, _, stratum in rows:
        first.setdefault(subject, stratum)
    cases = pd.DataFrame(
        {
            "case_id": [f"c{i:03d}" for i in range(len(rows))],
            "subject_id": [f"s{subject}" for subject, _, _ in rows],
            "stratum": [first[subject] for subject, _, _ in rows],
        }
    )
    sources = [None if source is None else f"u{source}" for _, source, _ in rows]
    cases["together"] = group_numbers(cases["subject_id"].tolist(), [sources])
    cases["source"] = pd.Series(sources, dtype=object)
    return cases


def one_side(cases, side):
    """Whether no subject and no source has cases on two sides; cases without a side aside."""
    placed = cases.assign(side=side)[pd.Series(side).notna().to_numpy()]
    return all(
        (placed.groupby(column)["side"].nunique() <= 1).all() for column in ("subject_id", "source")
    )


@settings(max_examples=40)  # each validates a split against its contract
@given(st.lists(ROW, min_size=8, max_size=90), st.sampled_from([5, 10_000]))
def test_no_group_stands_on_two_sides_of_any_split(tmp_path_factory, rows, holdout_from):
    cases = table_of(rows)
    asked = EvaluationConfig(holdout_from=holdout_from)
    path = tmp_path_factory.mktemp("s") / "split.json"
    try:
        split = read_or_make_split(path, cases, asked)
    except UsageError:
        return
    part = split.of(cases["subject_id"])
    assert one_side(cases, part.to_numpy())
    assert set(split.part) == set(cases.loc[cases["stratum"].notna(), "subject_id"])
    labelled = cases[cases["stratum"].notna()].reset_index(drop=True)
    inner = inner_folds(labelled, 3, "fold-0")
    assert one_side(labelled, inner.to_numpy()) and set(inner) <= {0, 1, 2}
    held = labelled["subject_id"].isin(validation_subjects(labelled, 0.15, "fold-0"))
    assert one_side(labelled, held.to_numpy())


@settings(max_examples=25)
@given(st.lists(ROW, min_size=8, max_size=60), st.randoms(use_true_random=False))
def test_the_order_of_the_rows_is_no_information(tmp_path_factory, rows, random):
    cases = table_of(rows)
    order = list(range(len(cases)))
    random.shuffle(order)
    other = cases.iloc[order].reset_index(drop=True)
    other["together"] = group_numbers(other["subject_id"].tolist(), [other["source"].tolist()])
    folder = tmp_path_factory.mktemp("s")
    found = []
    for name, table in (("a", cases), ("b", other)):
        labelled = table[table["stratum"].notna()]
        try:
            split = read_or_make_split(folder / f"{name}.json", table, EvaluationConfig())
        except UsageError:
            found.append(None)
            continue
        inner = inner_folds(labelled, 3, "fold-1")
        found.append(
            (
                dict(split.part),
                validation_subjects(labelled, 0.15, "fold-1"),
                dict(zip(labelled["case_id"], inner, strict=True)),
                dict(zip(table["case_id"], table["together"], strict=True)),
            )
        )
    assert found[0] == found[1]


def test_a_chain_of_shared_sources_is_one_group_and_empty_cells_tie_nobody():
    subjects = ["d", "a", "b", "c", "e", "f"]
    first = ["x", "x", "y", None, "", " NA "]
    second = [None, "1", "1 ", "q", None, "none"]
    assert group_numbers(subjects, [first, second]).tolist() == [0, 0, 0, 1, 2, 3]
    assert group_numbers(subjects, []).tolist() == [3, 0, 1, 2, 4, 5]
    cases = pd.DataFrame({"subject_id": subjects, "together": [0, 0, 0, 1, 2, 3]})
    assert split_units(cases).tolist() == ["a", "a", "a", "c", "e", "f"]


def grouped(n=240, each=6):
    """Cases of sources with six subjects each, a quarter of them positive."""
    rows = [(i, i // each, float(i % 4 == 0)) for i in range(n)]
    return table_of(rows)


def test_groups_keep_the_strata_and_sizes_of_the_folds(tmp_path):
    cases = grouped()
    split = read_or_make_split(tmp_path / "split.json", cases, EvaluationConfig())
    table = cases.assign(part=split.of(cases["subject_id"]))
    found = table.groupby("part")["stratum"].agg(["size", "sum"])
    assert found["size"].tolist() == [48] * 5
    assert found["sum"].between(10, 14).all(), found
    held = validation_subjects(cases, 0.15, "fold-0")
    strata = cases.set_index("subject_id")["stratum"]
    assert abs(len(held) - 36) <= 6 and abs(strata[list(held)].sum() - 9) <= 2


def test_the_folds_of_a_cohort_without_groups_are_those_of_earlier_versions(tmp_path):
    cases = pd.DataFrame(
        {
            "subject_id": [f"s{i}" for i in range(12)],
            "stratum": [float(i % 3 == 0) for i in range(12)],
        }
    )
    split = read_or_make_split(tmp_path / "split.json", cases, EvaluationConfig(folds=3))
    parts = [[s for s, p in split.part.items() if p == f"fold-{k}"] for k in range(3)]
    assert [sorted(part) for part in parts] == [
        ["s1", "s4", "s8", "s9"],
        ["s0", "s10", "s2", "s7"],
        ["s11", "s3", "s5", "s6"],
    ]


def test_validation_subjects_and_inner_folds_of_two_folds_agree_no_more_than_by_chance():
    cases = table_of([(i, None, float(i % 2)) for i in range(400)])
    held = [validation_subjects(cases, 0.2, f"fold-{k}") for k in range(5)]
    overlaps = [len(held[a] & held[b]) for a in range(5) for b in range(a)]
    assert {len(one) for one in held} == {80}
    # 16 by chance, with a deviation of 3.2
    assert 10 <= np.mean(overlaps) <= 22 and max(overlaps) <= 32, overlaps
    inner = [inner_folds(cases, 3, f"fold-{k}") for k in range(3)]
    same = [float(np.mean(inner[a] == inner[b])) for a, b in ((0, 1), (0, 2), (1, 2))]
    assert all(0.23 <= share <= 0.43 for share in same), same


def test_new_subjects_go_where_what_they_share_lies_and_nobody_is_moved(tmp_path):
    path, cases = tmp_path / "split.json", grouped(60)
    first = read_or_make_split(path, cases, EvaluationConfig())
    more = table_of(
        [(i, i // 6, float(i % 4 == 0)) for i in range(60)] + [(60 + k, k, 1.0) for k in range(10)]
    )
    second = read_or_make_split(path, more, EvaluationConfig())
    assert {s: second.part[s] for s in first.part} == dict(first.part)
    assert all(second.part[f"s{60 + k}"] == first.part[f"s{6 * k}"] for k in range(10))


def test_a_split_that_a_new_case_ties_across_is_refused_and_left_as_it_is(tmp_path):
    path, cases = tmp_path / "split.json", grouped(60)
    split = read_or_make_split(path, cases, EvaluationConfig())
    written = path.read_text()
    other = next(k for k in range(1, 10) if split.part[f"s{6 * k}"] != split.part["s0"])
    rows = [(i, i // 6, float(i % 4 == 0)) for i in range(60)]
    tying = table_of([*rows, (70, 0, 1.0), (70, other, 1.0)])
    with pytest.raises(ContractError, match=r"kept together .* Remove split.json"):
        read_or_make_split(path, tying, EvaluationConfig())
    assert path.read_text() == written


def test_a_split_of_an_earlier_version_is_read_and_extended(tmp_path):
    path = tmp_path / "split.json"
    cases = pd.DataFrame(
        {"subject_id": [f"s{i}" for i in range(20)], "stratum": [float(i % 2) for i in range(20)]}
    )
    part = {f"s{i}": f"fold-{i // 2 % 2}" for i in range(18)}
    path.write_text(json.dumps({"folds": 2, "part": part}))
    split = read_or_make_split(path, cases, EvaluationConfig())
    assert split.folds == 2 and {s: split.part[s] for s in part} == part and len(split.part) == 20


def test_a_class_that_one_group_holds_cannot_be_judged(tmp_path):
    cases = table_of([(i, 0 if i < 5 else None, float(i < 5)) for i in range(20)])
    with pytest.raises(UsageError, match=r"1 of class 1 .*kept together count as one"):
        read_or_make_split(tmp_path / "split.json", cases, EvaluationConfig())


def description_of(folder, keep_together):
    (folder / "cases.csv").write_text(
        "id,who,url,book,page,label\n"
        "a,s1,http://secret/1,b1,3,1\nb,s2,http://secret/1,b1,4,0\n"
        "c,s3,,b1,3,1\nd,s4,http://secret/2,,,0\n"
    )
    (folder / "n.txt").write_text("A note that is long enough to count as one.")
    (folder / "cohort.toml").write_text(
        f'[cohort]\nname = "s"\n[cases]\ntable = "cases.csv"\ncase_id = "id"\nsubject_id = "who"\n'
        f'keep_together = {keep_together}\n[task]\nlabel = "label"\npositive = "1"\n'
        '[modalities.note]\nkind = "text"\npath = "n.txt"\n'
    )
    return read_description(folder / "cohort.toml")


@pytest.mark.parametrize(
    ("keep_together", "numbers"),
    [
        ('"url"', [0, 0, 1, 2]),
        ('["url"]', [0, 0, 1, 2]),
        ('["url", "book"]', [0, 0, 0, 1]),
        ('"{book}-{page}"', [0, 1, 0, 2]),
    ],
)
def test_the_case_table_has_a_number_and_not_the_text(tmp_path, keep_together, numbers):
    cases = read_cases(description_of(tmp_path, keep_together))
    assert cases["together"].tolist() == numbers
    kept = cases[[name for name in cases if not name.startswith("column_")]]
    assert not kept.astype(str).apply(lambda one: one.str.contains("secret")).any().any()


def test_a_column_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DescriptionError, match=r"keep_together in .* 'urll' is not: .*'url'"):
        read_cases(description_of(tmp_path, '"urll"'))
