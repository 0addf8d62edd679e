"""A wrong description says rule, fact and cure; a right one becomes cases."""

import pandas as pd
import pytest

from mmdiag.cohort.case_table import read_cases
from mmdiag.cohort.cases import find_cases
from mmdiag.cohort.label_cells import class_names
from mmdiag.description import read_description
from mmdiag.errors import DescriptionError

RIGHT = """
[cohort]
name = "small"
root = "."
[cases]
table = "cases.csv"
case_id = "id"
subject_id = "person"
as_of = "date"
[task]
kind = "binary"
label = "outcome"
positive = "1"
[modalities.note]
kind = "text"
path = "notes/{id}.txt"
[modalities.genes]
kind = "table"
path = "genes.csv"
key = "id"
"""
CASES = "id,person,date,outcome\n001,a,2024-01-02,1.0\n002,a,2024-02-02,0.0\n003,b,2024-03-02,\n"


def make_folder(tmp_path, *, toml: str = RIGHT, cases: str = CASES):
    tmp_path.mkdir(exist_ok=True)
    (tmp_path / "cohort.toml").write_text(toml)
    (tmp_path / "cases.csv").write_text(cases)
    (tmp_path / "genes.csv").write_text("id,G1\n001,1.5\n003,2.5\n")
    (tmp_path / "notes").mkdir(exist_ok=True)
    (tmp_path / "notes" / "001.txt").write_text("No oedema.")
    return tmp_path / "cohort.toml"


def test_ids_stay_text_and_numbers_that_went_through_a_spreadsheet_are_labels(tmp_path):
    description = read_description(make_folder(tmp_path))
    cases = read_cases(description)
    assert cases["case_id"].tolist() == ["001", "002", "003"] and cases["subject_id"].tolist() == [
        "a",
        "a",
        "b",
    ]
    assert cases["label"].tolist()[:2] == [1.0, 0.0] and pd.isna(cases["label"].iloc[2])
    assert class_names(description, cases) == ("not 1", "1")


def test_what_was_not_acquired_has_no_key(tmp_path):
    description = read_description(make_folder(tmp_path))
    found = find_cases(description, read_cases(description))
    assert [sorted(case.sources) for case in found] == [["genes", "note"], [], ["genes"]]
    assert found[0].sources["genes"].key == "001"


WRONG = {
    "an unknown key": ('label = "outcome"', 'labl = "outcome"', r"did you mean 'label'"),
    "an unknown kind": ('kind = "text"', 'kind = "txt"', r"did you mean 'text'"),
    "an unknown task": ('kind = "binary"', 'kind = "binray"', r"did you mean 'binary'"),
    "an unknown section": ("[task]", "[tasks]", r"did you mean 'task'"),
    "a missing column": ('case_id = "id"', 'case_id = "ids"', r"did you mean 'id'"),
    "a missing template column": (
        "notes/{id}.txt",
        "notes/{idd}.txt",
        r"path of note .* 'idd' is not: did you mean 'id'",
    ),
    "a missing table": (
        'table = "cases.csv"',
        'table = "case.csv"',
        r"'case.csv' in cohort.toml is not there",
    ),
    "a missing root": ('root = "."', 'root = "elsewhere"', r"'elsewhere' in cohort.toml is not"),
    "no positive": ('positive = "1"', "", r"must say which label is positive"),
    "a positive that nobody has": (
        'positive = "1"',
        'positive = "7"',
        r"no case of cases.csv has '7'",
    ),
    "a mean of notes": (
        'path = "notes/{id}.txt"',
        'path = "notes.csv"\nkey = "id"\ncolumn = "text"\nrows = "mean"',
        r'Notes have no mean, \[modalities.note\] of cohort.toml has rows = "mean": write "refuse"',
    ),
    "no modality": (RIGHT[RIGHT.index("[modalities.note]") :], "", r"has none: add a section"),
    "a path that leads out": ("notes/{id}.txt", "../{id}.txt", r"must lie below the root"),
    "a table without key": ('key = "id"\n', "", r"needs its key"),
    "not TOML": ("[cases]", "[cases", r"cohort.toml must be TOML, it is not: .*line \d+"),
    "a template that is not closed": ("notes/{id}.txt", "notes/{id.txt", r"must be a template"),
    "two stars within a name": ("notes/{id}.txt", "notes/**{id}.txt", r"must be a template"),
    "a date that is none": (
        'as_of = "date"',
        'as_of = "2024-13-45"',
        r"ISO dates .*, '2024-13-45' in cohort.toml",
    ),
    "a size that is no number": (
        'kind = "text"\n',
        'kind = "image"\nsize = true\n',
        r"size under .* whole number",
    ),
    "a root that is not set": (
        'root = "."',
        'root = "${MMDIAG_NOT_SET}/x"',
        r"'\$\{MMDIAG_NOT_SET\}/x' in cohort.toml is not",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_mistake_is_named_with_its_cure(tmp_path, name):
    old, new, message = WRONG[name]
    assert old in RIGHT
    with pytest.raises(DescriptionError, match=message):
        read_cases(read_description(make_folder(tmp_path, toml=RIGHT.replace(old, new, 1))))


TABLES = {
    "a case twice": ("002,a,2024-02-02,0.0", "001,a,2024-02-02,0.0", r"repeats \['001'\]"),
    "a key that is a path": ("002,a", "../002,a", r"plain key .* line 3"),
    "a case without key": ("002,a", ",a", r"Every case needs its id, .* line 3"),
    "one class": (
        "002,a,2024-02-02,0.0",
        "002,a,2024-02-02,1",
        r"'1': .* leave label out to score",
    ),
    "no label at all": (
        CASES,
        "id,person,date,outcome\n1,a,,\n2,b,,\n",
        r"must be there for some cases",
    ),
    "a date that is none": ("2024-02-02", "2 Feb", r"as_of must be ISO dates .* line 3"),
    "a date in the future": ("2024-02-02", "2924-02-02", r"must not lie in the future, .* line 3"),
    "a date of no living person": (
        "2024-02-02",
        "1024-02-02",
        r"must not lie before 1900, .* line 3",
    ),
    "a key that does not show": ("002,a", "00\u200b2,a", r"plain key .* line 3"),
    "a row wider than the header": (
        "2024-02-02,0.0",
        "2024-02-02,0.0,9",
        r"as long as its header, .* line 3",
    ),
    "all rows wider than the header": (
        CASES,
        "id,person,date,outcome\nz,1,a,,1\nz,2,b,,0\n",
        r"as long as its header, .* line 2, 3",
    ),
    "a row that was cut": ("002,a,2024-02-02,0.0", "002,a", r"as long as its header, .* line 3"),
    "a column twice": (
        CASES,
        "id,person,date,outcome,outcome\n1,a,,1,0\n2,b,,0,1\n",
        r"A column is there once, .* in column 4, 5",
    ),
    "NUL bytes": ("002,a", "002,a\0", r"holds NUL bytes"),
    "an empty file": (CASES, "", r"begins with a header"),
    "no rows": (CASES, "id,person,date,outcome\n", r"must have a row a case"),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_mistake_in_the_case_table_names_its_line(tmp_path, name):
    old, new, message = TABLES[name]
    assert old in CASES
    with pytest.raises(DescriptionError, match=message):
        read_cases(read_description(make_folder(tmp_path, cases=CASES.replace(old, new, 1))))


@pytest.mark.parametrize("word", ["", " ", "NA", "nan", "N/A", "NULL"])
def test_a_label_that_says_that_nothing_is_known_is_not_a_negative(tmp_path, word):
    cases = read_cases(
        read_description(
            make_folder(tmp_path, cases=CASES.replace("2024-03-02,", f"2024-03-02,{word}"))
        )
    )
    assert cases["label"].tolist()[:2] == [1.0, 0.0] and pd.isna(cases["label"].iloc[2])


def test_unknown_is_no_class_and_none_is_one(tmp_path):
    toml = RIGHT.replace('kind = "binary"', 'kind = "multiclass"').replace('positive = "1"\n', "")
    table = "id,person,date,outcome\n1,a,,mild\n2,b,,NA\n3,c,,none\n4,d,, mild\n"
    description = read_description(make_folder(tmp_path, toml=toml, cases=table))
    cases = read_cases(description)
    assert class_names(description, cases) == ("mild", "none")
    assert cases["label"].fillna(-1).tolist() == [0, -1, 1, 0]


def make_labels(tmp_path, keys, values):
    """The labels of cases with these values, under a [task] with further keys."""
    toml = RIGHT.replace('positive = "1"', f'positive = "COVID-19"\n{keys}')
    rows = "".join(f"{i},p{i},,{value}\n" for i, value in enumerate(values))
    description = read_description(
        make_folder(tmp_path, toml=toml, cases=f"id,person,date,outcome\n{rows}")
    )
    return description, read_cases(description)


COVID = ["COVID-19", "pneumonia", "clear", "pending"]


@pytest.mark.parametrize(
    ("keys", "labels"),
    [
        ('negative = "rest"', [1, 0, 0, 0]),
        ('negative = "rest"\nunknown = ["pending"]', [1, 0, 0, -1]),
        ('negative = ["pneumonia", "clear"]\nunknown = "pending"', [1, 0, 0, -1]),
        ('negative = "clear"\nunknown = ["pending", "pneumonia"]', [1, -1, 0, -1]),
    ],
)
def test_further_values_of_a_binary_label_are_what_the_description_says(tmp_path, keys, labels):
    description, cases = make_labels(tmp_path, keys, COVID)
    assert cases["label"].fillna(-1).tolist() == labels
    assert class_names(description, cases) == ("not COVID-19", "COVID-19")


@pytest.mark.parametrize("keys", ["", 'negative = ["pneumonia"]', 'unknown = ["pending"]'])
def test_a_further_value_of_a_binary_label_is_never_negative_in_silence(tmp_path, keys):
    with pytest.raises(DescriptionError, match=r"'clear'.*negative = .*unknown = "):
        make_labels(tmp_path, keys, COVID)


def test_values_of_a_label_are_printed_only_where_they_are_few_and_short(tmp_path):
    long = ["COVID-19", "a free text about one patient", "clear"]
    with pytest.raises(DescriptionError, match="2 other values") as said:
        make_labels(tmp_path / "long", "", long)
    assert "free text" not in str(said.value)
    with pytest.raises(DescriptionError, match="11 other values"):
        make_labels(tmp_path / "many", "", ["COVID-19", *(f"v{i}" for i in range(11))])


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ('negative = "COVID-19"', "twice"),
        ('negative = ["rest", "clear"]', "found both"),
        ("class_names = { a = 1 }", "class_names"),
        ("title = 3", "title"),
    ],
)
def test_words_of_a_task_that_contradict_each_other_are_refused(tmp_path, keys, words):
    with pytest.raises(DescriptionError, match=words):
        make_labels(tmp_path, keys, ["COVID-19", "clear"])


def test_how_people_read_a_task_changes_no_hash(tmp_path):
    plain, _ = make_labels(tmp_path / "a", "", ["COVID-19", "clear"])
    titled, _ = make_labels(
        tmp_path / "b",
        'title = "Infection"\nclass_names = { clear = "none" }',
        ["COVID-19", "clear"],
    )
    assert titled.task.title == "Infection" and titled.hash() == plain.hash()


def test_a_table_from_a_spreadsheet_in_windows_1252_keeps_its_letters(tmp_path):
    path = make_folder(tmp_path)
    (tmp_path / "cases.csv").write_bytes(CASES.replace("003,b", "003,Zoë").encode("cp1252"))
    assert read_cases(read_description(path))["subject_id"].tolist()[2] == "Zoë"


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path):
    path = make_folder(tmp_path)
    (tmp_path / "cases.csv").write_bytes(CASES.encode("utf-8-sig"))
    assert read_cases(read_description(path))["case_id"].tolist() == ["001", "002", "003"]


def test_a_parquet_table_reads_like_its_csv(tmp_path):
    read_from_csv = read_cases(read_description(make_folder(tmp_path)))
    frame = pd.DataFrame(
        {"id": ["001", "002", "003"], "person": ["a", "a", "b"], "outcome": [1.0, 0.0, None]}
    )
    frame.assign(date=["2024-01-02", "2024-02-02", "2024-03-02"]).to_parquet(
        tmp_path / "cases.parquet"
    )
    (tmp_path / "cohort.toml").write_text(RIGHT.replace("cases.csv", "cases.parquet"))
    cases = read_cases(read_description(tmp_path / "cohort.toml"))
    pd.testing.assert_frame_equal(cases.iloc[:, :7], read_from_csv.iloc[:, :7])


def test_the_hash_changes_with_what_ingestion_writes(tmp_path):
    description = read_description(make_folder(tmp_path))
    (tmp_path / "cohort.toml").write_text(
        RIGHT.replace('path = "genes.csv"', 'path = "genes.csv"\nexclude = ["G2"]')
    )
    assert (
        read_description(tmp_path / "cohort.toml").hash()
        != description.hash()
        == description.hash()
    )


def test_a_key_can_be_made_of_several_columns(tmp_path):
    toml = RIGHT.replace('case_id = "id"', 'case_id = "{person}-{id}"')
    assert read_cases(read_description(make_folder(tmp_path, toml=toml)))["case_id"].tolist() == [
        "a-001",
        "a-002",
        "b-003",
    ]


def test_survival_reads_time_and_event(tmp_path):
    toml = RIGHT.replace(
        'kind = "binary"\nlabel = "outcome"\npositive = "1"',
        'kind = "survival"\ntime = "months"\nevent = "died"',
    )
    cases = read_cases(
        read_description(
            make_folder(
                tmp_path,
                toml=toml,
                cases="id,person,date,months,died\n1,a,,3.5,1\n2,b,,9,0\n3,c,,,\n",
            )
        )
    )
    assert cases["time"].tolist()[:2] == [3.5, 9.0] and cases["event"].tolist()[:2] == [1, 0]


@pytest.mark.parametrize("rows", ["1,a,,x,1\n", "1,a,,inf,1\n", "1,a,,3,2\n", "1,a,,3,0\n"])
def test_survival_refuses_what_is_no_time_or_event(tmp_path, rows):
    toml = RIGHT.replace(
        'kind = "binary"\nlabel = "outcome"\npositive = "1"',
        'kind = "survival"\ntime = "months"\nevent = "died"',
    )
    with pytest.raises(
        DescriptionError, match=r"time must be a number|event must be 0|needs events"
    ):
        read_cases(
            read_description(
                make_folder(tmp_path, toml=toml, cases="id,person,date,months,died\n" + rows)
            )
        )


def test_the_state_of_a_tables_columns_is_what_it_was_and_a_title_does_not_change_it():
    """`ingest/plan.py` keeps a hash of a modality's repr beside its columns: another one reads
    every file again, and may refuse the cohort.
    """
    import hashlib

    from mmdiag.description import ModalityDescription

    def state(**facts: str) -> str:
        modality = ModalityDescription(
            name="rna",
            kind="table",
            path="rna/{case_id}.csv",
            genes="symbol",
            columns=("*_rna",),
            **facts,
        )
        return hashlib.sha256(repr([[], modality]).encode()).hexdigest()

    assert state() == state(title="RNA")
    assert state() == "da8399d9c9c6ce23b1170a53ec725cd83f7a95525907bef1ebd9d4babe2eb40c"


@pytest.mark.parametrize(
    ("kind", "horizon", "fits"),
    [
        ("survival", "24", True),
        ("survival", "-1", False),
        ("survival", "true", False),
        ("survival", '"24"', False),
        ("survival", "inf", False),
        ("binary", "24", False),
    ],
)
def test_a_horizon_is_a_time_of_a_survival_task(tmp_path, kind, horizon, fits):
    task = {"survival": 'kind = "survival"\n', "binary": 'kind = "binary"\nlabel = "outcome"\n'}[
        kind
    ]
    stated = task + ('positive = "1"\n' if kind == "binary" else "") + f"horizon = {horizon}\n"
    old = 'kind = "binary"\nlabel = "outcome"\npositive = "1"\n'
    file = make_folder(tmp_path, toml=RIGHT.replace(old, stated))
    if fits:
        assert read_description(file).task.horizon == 24.0
        return
    with pytest.raises(DescriptionError, match="horizon"):
        read_description(file)


@pytest.mark.parametrize(
    ("stated", "fits"),
    [
        ("threshold = 0.3", True),
        ("threshold = 1", False),
        ("threshold = 0", False),
        ("threshold = true", False),
        ('threshold = "0.3"', False),
        ("threshold = nan", False),
    ],
)
def test_a_threshold_is_a_probability_of_a_binary_task(tmp_path, stated, fits):
    old = 'kind = "binary"\nlabel = "outcome"\npositive = "1"\n'
    file = make_folder(tmp_path, toml=RIGHT.replace(old, f"{old}{stated}\n"))
    if fits:
        task = read_description(file).task
        assert task.threshold == 0.3 and task.facts()["threshold"] == 0.3
        return
    with pytest.raises(DescriptionError, match="threshold"):
        read_description(file)


def test_a_survival_has_no_threshold(tmp_path):
    old = 'kind = "binary"\nlabel = "outcome"\npositive = "1"\n'
    stated = RIGHT.replace(old, 'kind = "survival"\nthreshold = 0.3\n')
    with pytest.raises(DescriptionError, match="threshold"):
        read_description(make_folder(tmp_path, toml=stated))
