"""A label is one of its known values: spellings of one are one class, everything else is refused
or unlabelled, for every kind of task.
"""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmdiag.cohort.case_table import read_cases
from mmdiag.cohort.label_cells import count_classes, described_task, read_labels
from mmdiag.description import read_description
from mmdiag.errors import DescriptionError


def describe(folder, task, columns):
    """A description with this [task], and a case table with these columns."""
    folder.mkdir(exist_ok=True)
    table = pd.DataFrame({"id": [f"c{i}" for i in range(len(next(iter(columns.values()))))]})
    table.assign(**columns).to_csv(folder / "cases.csv", index=False)
    (folder / "cohort.toml").write_text(
        f'[cohort]\nname = "c"\n[cases]\ntable = "cases.csv"\ncase_id = "id"\n[task]\n{task}\n'
        '[modalities.note]\nkind = "text"\npath = "{id}.txt"\n'
    )
    return read_description(folder / "cohort.toml")


def labels_of(folder, task, cells):
    description = describe(folder, task, {"y": cells})
    return read_cases(description)["label"].fillna(-1).astype(int).tolist()


BINARY = 'kind = "binary"\nlabel = "y"\npositive = "1"\n'
SICK = 'kind = "binary"\nlabel = "y"\npositive = "positive"\n'
CLASSES = 'kind = "multiclass"\nlabel = "y"\n'
CHEXPERT = ["1.0"] * 3 + ["0.0"] * 3 + ["-1.0"] * 2 + [""] * 2


def test_uncertain_codes_of_a_binary_label_are_what_the_description_says(tmp_path):
    assert labels_of(tmp_path, BINARY + 'negative = "0"\nunknown = "-1"', CHEXPERT) == (
        [1] * 3 + [0] * 3 + [-1] * 4
    )
    with pytest.raises(DescriptionError, match=r"has besides '1' '-1.0', '0.0'"):
        labels_of(tmp_path, BINARY, CHEXPERT)


def test_spellings_of_both_classes_are_two_classes(tmp_path):
    cells = [
        "positive",
        "Positive",
        "POSITIVE\u00a0",
        "\uff50\uff4f\uff53\uff49\uff54\uff49\uff56\uff45",
        "negative",
        " Negative",
        "N.A.",
    ]
    assert labels_of(tmp_path, SICK, cells) == [1, 1, 1, 1, 0, 0, -1]


def test_clinicians_words_for_not_known_are_never_negative(tmp_path):
    cells = ["positive", "negative", "pending", "unknown", "999", "?"]
    with pytest.raises(DescriptionError, match="'999', '\\?', 'negative', 'pending', 'unknown'"):
        labels_of(tmp_path, SICK, cells)
    unknown = 'unknown = ["Pending", "UNKNOWN", "999.0", "?"]'
    assert labels_of(tmp_path, SICK + unknown, cells) == [1, 0, -1, -1, -1, -1]


@pytest.mark.parametrize("other", ["unknown", "Pending", "?", "9", "999", "-99", "-1", "-1.0"])
def test_the_only_other_value_of_a_binary_label_is_no_class_if_nothing_is_known_by_it(
    tmp_path, other
):
    cells = ["1", other, "", "1", other]
    with pytest.raises(DescriptionError, match=r"unknown.*class_names or negative"):
        labels_of(tmp_path, BINARY, cells)
    for named in (
        'negative = "rest"',
        f'negative = ["{other}"]',
        f'class_names = {{ "{other}" = "healthy" }}',
    ):
        assert labels_of(tmp_path, BINARY + named, cells) == [1, 0, -1, 1, 0]
    yes = [cell.replace("1", "positive") if cell == "1" else cell for cell in cells]
    with pytest.raises(DescriptionError, match=r"unknown.*class_names or negative"):
        labels_of(tmp_path, SICK, yes)


@pytest.mark.parametrize("other", ["0", "2", "none", "no", "5"])
def test_the_only_other_value_of_a_binary_label_is_negative_without_being_named(tmp_path, other):
    assert labels_of(tmp_path, BINARY, ["1", other, "", other]) == [1, 0, -1, 0]


@given(st.data())
def test_no_spelling_of_a_value_is_another_class(data):
    spelled = st.sampled_from(["0", "0.0", " 0 ", "\uff10", "-0", "00", "0.00\u00a0"])
    cells = data.draw(st.lists(spelled, min_size=1, max_size=6))
    labels = read_labels(description_of(BINARY), pd.DataFrame({"y": ["1", *cells]}, dtype=object))
    assert labels["label"].tolist() == [1.0, *[0.0] * len(cells)]


def description_of(task):
    """A description of which no file but its own is read."""
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        return describe(Path(folder), task, {"y": ["1", "0"]})


def test_spellings_of_a_class_are_one_and_it_has_the_most_frequent_name(tmp_path):
    cells = ["Grade II", "grade ii", "Grade II", "grade  ii ", "Grade III", ""]
    description = describe(tmp_path, CLASSES + 'class_names = { "GRADE II" = "low" }', {"y": cells})
    cases = read_cases(description)
    assert cases["label"].fillna(-1).tolist() == [0, 0, 0, 0, 1, -1]
    task = described_task(description, cases)
    assert task.classes == ("Grade II", "Grade III") and task.name_of("Grade II") == "low"
    assert [
        (one["class"], one["name"], one["cases"], one["values"])
        for one in count_classes(description, cases, set(cases["case_id"]) - {"c0"})
    ] == [
        ("Grade II", "low", 3, ["Grade II", "grade ii"][::-1]),
        ("Grade III", "Grade III", 1, ["Grade III"]),
    ]


@pytest.mark.parametrize("other", ["COVID 19", "covid19", "\u0421OVID-19"])
def test_what_only_resembles_a_class_is_refused_until_it_is_named(tmp_path, other):
    cells = ["COVID-19", "none", other]
    names = f'class_names = {{ "COVID-19" = "a", "{other}" = "b" }}'
    for task in (
        CLASSES,
        'kind = "binary"\nlabel = "y"\npositive = "COVID-19"\nnegative = "rest"\n',
    ):
        with pytest.raises(DescriptionError, match="look alike"):
            labels_of(tmp_path, task, cells)
        assert len(set(labels_of(tmp_path, task + names, cells))) == (3 if task == CLASSES else 2)


@pytest.mark.parametrize(
    ("cells", "word"),
    [
        (["benign", "malignant", "Unknown"], "Unknown"),
        (["benign", "malignant", "[Not Available]"], "Not Available"),
        (["a", "b", "?"], r"\?"),
        (["0", "1", "2", "9"], "9"),
        (["1", "2", "3", "-99.0"], "-99"),
        (["1", "2", "3", "999"], "999"),
        (["I", "II", "9"], "9"),
        (["1", "2", "3", "-1"], "-1"),
    ],
)
def test_a_class_that_says_that_nothing_is_known_is_refused_until_it_is_stated(
    tmp_path, cells, word
):
    with pytest.raises(DescriptionError, match=rf"{word}.*unknown.*class_names"):
        labels_of(tmp_path, CLASSES, cells)
    assert labels_of(tmp_path, CLASSES + f'unknown = ["{cells[-1]}"]', cells)[-1] == -1
    named = CLASSES + f'class_names = {{ "{cells[-1]}" = "c" }}'
    assert -1 not in labels_of(tmp_path, named, cells)


@pytest.mark.parametrize(
    "cells", [["5", "6", "7", "8", "9"], ["98", "99", "100"], ["1", "-2", "-1"]]
)
def test_a_number_in_its_row_is_a_class(tmp_path, cells):
    assert -1 not in labels_of(tmp_path, CLASSES, cells)


def test_labels_of_several_columns_are_0_1_or_unknown_in_any_spelling(tmp_path):
    task = 'kind = "multilabel"\nlabels = ["a", "b"]\nunknown = ["-1"]'
    columns = {"a": ["1.0", "\uff10", "-1", "n/a"], "b": ["0", " 1\u00a0", "0.0", "1"]}
    description = describe(tmp_path, task, columns)
    cases = read_cases(description)
    assert cases["label_a"].fillna(-1).tolist() == [1, 0, -1, -1]
    assert cases["label_b"].tolist() == [0, 1, 0, 1]
    counts = count_classes(description, cases, set(cases["case_id"]))
    assert [(one["label"], one["class"], one["cases"]) for one in counts] == [
        ("a", "0", 1),
        ("a", "1", 1),
        ("b", "0", 2),
        ("b", "1", 2),
    ]
    with pytest.raises(DescriptionError, match=r"'a' must be 0, 1 or empty .* line 4"):
        read_cases(describe(tmp_path, task.replace('unknown = ["-1"]', ""), columns))


SURVIVAL = 'kind = "survival"\ntime = "t"\nevent = "e"\n'


def test_what_programs_write_of_a_true_or_false_is_1_or_0(tmp_path):
    """pandas, R and spreadsheets write a column of yes and no like this, Parquet holds it so."""
    several = 'kind = "multilabel"\nlabels = ["y", "z"]\n'
    columns = {"y": ["True", "FALSE", "", "1"], "z": ["false", "TRUE", "0", "true"]}
    cases = read_cases(describe(tmp_path / "l", several, columns))
    np.testing.assert_array_equal(cases["label_y"], [1, 0, np.nan, 1])
    np.testing.assert_array_equal(cases["label_z"], [0, 1, 0, 1])
    survival = 'kind = "survival"\ntime = "t"\nevent = "e"\n'
    times = {"t": ["1", "2", "3"], "e": ["True", "False", "TRUE"]}
    description = describe(tmp_path / "s", survival, times)
    assert read_cases(description)["event"].tolist() == [1, 0, 1]
    table = pd.read_csv(description.table)
    table.assign(e=[True, False, True]).to_parquet(tmp_path / "s" / "cases.parquet")
    toml = tmp_path / "s" / "cohort.toml"
    toml.write_text(toml.read_text().replace("cases.csv", "cases.parquet"))
    assert read_cases(read_description(toml))["event"].tolist() == [1, 0, 1]


def test_events_may_be_written_as_cbioportal_does(tmp_path):
    task = 'kind = "survival"\ntime = "months"\nevent = "status"\nhorizon = 12\n'
    status = ["0:LIVING", "1:DECEASED", " 1 : deceased", "", "0"]
    described = describe(tmp_path, task, {"months": ["5"] * 5, "status": status})
    found = read_cases(described)["event"]
    assert found.fillna(-1).tolist() == [0, 1, 1, -1, 0]
    wrong = describe(tmp_path, task, {"months": ["5"] * 3, "status": ["2:LOST", "1:DEAD", "0"]})
    with pytest.raises(DescriptionError, match=r"event must be a number, .* line 2"):
        read_cases(wrong)


def test_times_and_events_are_numbers_in_any_spelling(tmp_path):
    columns = {"t": ["12.50", "\uff11\uff12", " 7\u00a0", "NA"], "e": ["1.0", "0", "9", "1"]}
    description = describe(tmp_path, SURVIVAL + 'unknown = ["9"]', columns)
    cases = read_cases(description)
    assert cases["time"].tolist()[:3] == [12.5, 12, 7] and np.isnan(cases["time"].iloc[3])
    assert cases["event"].fillna(-1).tolist() == [1, 0, -1, 1]
    counts = count_classes(description, cases, set(cases["case_id"]))
    assert [(one["class"], one["cases"]) for one in counts] == [("censored", 1), ("event", 1)]


@pytest.mark.parametrize(
    ("times", "events", "message"),
    [
        (["1", "0x1F", "3"], ["1", "0", "1"], "time must be a number, .* line 3"),
        (["1", "1,5", "3"], ["1", "0", "1"], "time must be a number, .* line 3"),
        (["1", "9999", "3"], ["1", "0", "1"], "nothing is known, .* line 3"),
        (["1", "2", "3"], ["1", "0", "2"], "event must be 0 .* line 4"),
        (["1", "2", "3"], ["1", "0", "dead"], "event must be a number, .* line 4"),
    ],
)
def test_a_cell_that_is_no_time_or_event_is_named_by_its_line(tmp_path, times, events, message):
    with pytest.raises(DescriptionError, match=message):
        read_cases(describe(tmp_path, SURVIVAL, {"t": times, "e": events}))


@pytest.mark.parametrize(
    "keys",
    [
        'negative = "1.0"',
        'unknown = [" 1 "]',
        'negative = "no"\nunknown = "NO"',
        'class_names = { "0" = "a", "0.0" = "b" }',
    ],
)
def test_a_value_that_is_stated_in_two_spellings_is_refused(tmp_path, keys):
    with pytest.raises(DescriptionError, match=r"twice|names a value once"):
        describe(tmp_path, BINARY + keys, {"y": ["1", "0"]})


def test_values_that_count_as_a_class_are_listed_where_they_may_be_printed(tmp_path):
    cells = ["1", "1.0", "0", "no", "", "9"]
    keys = 'negative = ["0", "No"]\nunknown = "9"\nclass_names = { "1.0" = "progresses", "0.0" = "stable" }'
    description = describe(tmp_path, BINARY + keys, {"y": cells})
    cases = read_cases(description)
    negative, positive = count_classes(description, cases, set(cases["case_id"]))
    assert (negative["name"], negative["cases"], negative["values"]) == ("stable", 2, ["0", "no"])
    assert (positive["class"], positive["name"], positive["cases"]) == ("1", "progresses", 2)
    long = ["1", *(f"a sentence about one person, {i}" for i in range(3))]
    description = describe(tmp_path, BINARY + 'negative = "rest"', {"y": long})
    counts = count_classes(description, cases := read_cases(description), set(cases["case_id"]))
    assert counts[0]["values"] is None and counts[0]["cases"] == 3
