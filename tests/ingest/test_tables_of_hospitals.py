"""Tables as hospitals and laboratories send them: what they hold comes into the store, or it is said
what does not, and why.
"""

import gzip
import json

import numpy as np
import pandas as pd
import pytest
from table_builders import KEYS, ingest, rows, write_cohort

from mmdiag.errors import ContractError, DescriptionError

VALUES = [f"{4 + number / 8}" for number in range(len(KEYS))]


def labs_of(answer):
    return answer["modalities"]["labs"]


OTHER_DRESS = {
    "leading zeros": ([f"{n:04d}" for n in range(12)], [str(n) for n in range(12)]),
    "a decimal .0": ([str(n) for n in range(12)], [f"{n}.0" for n in range(12)]),
    "a decimal .0 and leading zeros": (
        [f"{n:04d}" for n in range(12)],
        [f"{n}.0" for n in range(12)],
    ),
    "blanks": (KEYS, [f"{key} " for key in KEYS]),
    "upper and lower case": (KEYS, [key.upper() for key in KEYS]),
    "a longer barcode": (
        [f"TCGA-02-{n:04d}" for n in range(12)],
        [f"TCGA-02-{n:04d}-01A-11R" for n in range(12)],
    ),
    "dashes, underscores": ([f"a-{n}" for n in range(12)], [f"a_{n}" for n in range(12)]),
}


@pytest.mark.parametrize("cause", OTHER_DRESS)
def test_keys_in_another_dress_are_an_error_that_names_the_cause(tmp_path, cause):
    keys, shown = OTHER_DRESS[cause]
    cohort = write_cohort(tmp_path, rows({"a": VALUES}, shown), keys=keys)
    with pytest.raises(DescriptionError, match=f"labs.*for none of 12.*12 .*but for {cause}"):
        ingest(cohort, tmp_path / "w")
    assert not (tmp_path / "w" / "cohorts").exists(), "nothing was written"


def test_whole_numbers_of_parquet_are_no_keys_with_leading_zeros(tmp_path):
    file = tmp_path / "labs.parquet"
    pd.DataFrame({"case_id": range(12), "a": np.arange(12.0)}).to_parquet(file)
    cohort = write_cohort(
        tmp_path, file.read_bytes(), name="labs.parquet", keys=[f"{n:03d}" for n in range(12)]
    )
    with pytest.raises(DescriptionError, match="but for leading zeros"):
        ingest(cohort, tmp_path / "w")


def test_keys_that_are_nobodys_have_no_cause(tmp_path):
    cohort = write_cohort(tmp_path, rows({"a": VALUES}, [f"other{n}" for n in range(12)]))
    with pytest.raises(
        DescriptionError, match=r"12 rows of labs\.csv have keys that are no case's: name"
    ):
        ingest(cohort, tmp_path / "w")


def test_some_cases_that_would_have_a_row_are_said(tmp_path):
    shown = [*KEYS[:9], *(key.upper() for key in KEYS[9:])]
    answer, _ = ingest(write_cohort(tmp_path, rows({"a": VALUES}, shown)), tmp_path / "w")
    assert labs_of(answer)["present"] == 9 and labs_of(answer)["cases_apart"] == 3
    assert (
        "cases that would have a row or a file but for upper and lower case: 3"
        in labs_of(answer)["said"]
    )


def test_a_batch_to_score_may_lack_a_modality(tmp_path):
    note = '[modalities.note]\nkind = "text"\npath = "notes/{case_id}.txt"\n'
    cohort = write_cohort(tmp_path, rows({"a": VALUES}), note)
    (tmp_path / "notes").mkdir()
    with pytest.raises(DescriptionError, match=r"note.*no file fits its path 'notes/\{case_id\}"):
        ingest(cohort, tmp_path / "w")
    answer, _ = ingest(cohort, tmp_path / "w", wanted={})
    assert answer["modalities"]["note"]["absent"] == 12


def test_files_in_another_dress_are_an_error_that_names_the_cause(tmp_path):
    note = '[modalities.note]\nkind = "text"\npath = "notes/{case_id}.txt"\n'
    cohort = write_cohort(tmp_path, rows({"a": VALUES}), note)
    (tmp_path / "notes").mkdir()
    for key in KEYS:
        (tmp_path / "notes" / f"{key.upper()}.txt").write_text(f"A lesion, seen in {key}.")
    with pytest.raises(DescriptionError, match="12 files would be met but for upper and lower"):
        ingest(cohort, tmp_path / "w")


def test_a_modality_of_blank_rows_alone_is_an_error(tmp_path):
    cohort = write_cohort(tmp_path, rows({"a": [""] * 12, "b": [""] * 12}), 'columns = ["a", "b"]')
    with pytest.raises(DescriptionError, match="holds nothing for any of 12"):
        ingest(cohort, tmp_path / "w")


def test_a_column_is_not_dropped_for_one_cell(tmp_path):
    dirty = {
        "limit": "<0.1",
        "thousand": '"1,250"',
        "stop": ".",
        "unit": "12 mg",
        "clean": "1",
        "excel": "#N/A",
        "minus": "\N{MINUS SIGN}1.5",
        "nbsp": "\N{NO-BREAK SPACE}5.2",
    }
    table = rows({name: [cell, *VALUES[1:]] for name, cell in dirty.items()})
    answer, cohort = ingest(write_cohort(tmp_path, table), tmp_path / "w")
    assert list(cohort.table("labs").columns) == list(dirty)
    assert labs_of(answer)["not_numbers"] == {"limit": 1, "thousand": 1, "stop": 1, "unit": 1}
    first = cohort.table("labs").loc["k00"]
    assert first[first.notna()].to_dict() == {"clean": 1, "minus": -1.5, "nbsp": np.float32(5.2)}


def test_a_cell_of_a_column_that_is_named_costs_its_case(tmp_path):
    table = rows({"a": ["<0.1", *VALUES[1:]], "b": VALUES})
    cohort = write_cohort(tmp_path, table, 'columns = ["a", "b"]')
    _, found = ingest(cohort, tmp_path / "w")
    refused = found.quarantine.query("modality == 'labs'")
    assert refused[["case_id", "code"]].values.tolist() == [["k00", "table_value"]]


def test_a_minus_sign_and_a_no_break_blank_are_read(tmp_path):
    table = rows({"a": ["\N{MINUS SIGN}1.5", "\N{NO-BREAK SPACE}5.2", *VALUES[2:]]})
    _, cohort = ingest(write_cohort(tmp_path, table), tmp_path / "w")
    assert cohort.table("labs")["a"].tolist()[:2] == [-1.5, np.float32(5.2)]


GROUPED = ["1.250", "980", "2.100", "0", *["1.040"] * 8]


@pytest.mark.parametrize("separator", [",", ";"])
def test_points_that_may_part_thousands_are_said(tmp_path, separator):
    table = rows({"a": GROUPED, "b": [str(n) for n in range(12)]}, separator=separator)
    answer, found = ingest(write_cohort(tmp_path, table), tmp_path / "w")
    assert found.table("labs")["a"].tolist()[:2] == [1.25, 980]
    (said,) = labs_of(answer)["said"]
    assert said.startswith("points before three digits") and said.endswith("thousands: a")
    stated, _ = ingest(write_cohort(tmp_path, table, 'decimal = "."'), tmp_path / "v")
    assert "said" not in labs_of(stated)


@pytest.mark.parametrize(
    "columns",
    [
        {"a": GROUPED, "b": ["0.5", *GROUPED[1:]]},
        {"a": ["0.250", *GROUPED[1:]]},
        {"a": ["1250", *GROUPED[1:]]},
        {"a": ["1.25", *GROUPED[1:]]},
        {"a": [str(n) for n in range(12)]},
    ],
    ids=["another column", "below one", "a thousand", "two digits", "whole numbers"],
)
def test_points_that_begin_a_fraction_are_read_without_a_word(tmp_path, columns):
    cohort = write_cohort(tmp_path, rows(columns, separator=";"))
    answer, _ = ingest(cohort, tmp_path / "w")
    assert "said" not in labs_of(answer)


LEFT_OUT = {
    "words": "words",
    "mixed": "numbers and words",
    "comma": "numbers with a decimal comma",
    "limits": "numbers below a limit",
    "percent": "percentages",
    "unit": "numbers with their unit",
    "date": "dates or times",
    "day": "dates or times",
    "truth": "true and false",
    "empty": "no value in any row",
}


def test_each_column_that_is_left_out_is_named_with_what_it_holds(tmp_path):
    cells = {
        "words": ["low", "high"],
        "mixed": ["5", "[Not Available]"],
        "comma": ['"1,5"', '"0,4"'],
        "limits": ["<0.1", "< 5"],
        "percent": ["45%", "40.5 %"],
        "unit": ["12 mg", "13.5 mmol/l"],
        "date": ["2024-03-01", "2024-03-02"],
        "day": ["1.3.2024", "13.12.2023"],
        "truth": ["TRUE", "FALSE"],
        "empty": ["", "NA"],
    }
    table = rows({"a": VALUES, **{name: (two * 6) for name, two in cells.items()}})
    answer, cohort = ingest(write_cohort(tmp_path, table), tmp_path / "w")
    assert list(cohort.table("labs").columns) == ["a"]
    left = labs_of(answer)["left_out"]
    assert {name: why for name, why in LEFT_OUT.items() if not left[name].startswith(why)} == {}
    assert any(
        "left out" in sentence and "words" in sentence for sentence in labs_of(answer)["said"]
    )


@pytest.mark.parametrize(("below", "value"), [("missing", np.nan), ("limit", np.float32(0.1))])
def test_what_lies_below_a_limit_is_what_the_description_says(tmp_path, below, value):
    table = rows({"a": ["<0.1", "< 0.1", "<=0.1", "\u22640.1", *VALUES[4:]]})
    _, cohort = ingest(write_cohort(tmp_path, table, f'below = "{below}"'), tmp_path / "w")
    found = cohort.table("labs")["a"].reindex(KEYS[:4])
    assert np.array_equal(found.to_numpy(), [value] * 4, equal_nan=True)


@pytest.mark.parametrize("code", ["-999", "-9999.0", "9999", "-99", "-888"])
def test_a_code_for_missing_is_found_by_its_shape_and_said(tmp_path, code):
    table = rows({"a": [code, *VALUES[1:]], "b": VALUES})
    answer, cohort = ingest(write_cohort(tmp_path, table), tmp_path / "w")
    found = cohort.table("labs")
    assert np.isnan(found.loc["k00", "a"]) and found["a"].notna().sum() == 11
    assert labs_of(answer)["missing_codes"] == {"a": 1}


@pytest.mark.parametrize(("said", "kept"), [("[]", -999.0), ('["-7", -999]', np.nan)])
def test_which_codes_mean_missing_is_the_descriptions_word(tmp_path, said, kept):
    table = rows({"a": ["-999", *VALUES[1:]], "b": VALUES})
    answer, cohort = ingest(
        write_cohort(tmp_path, table, f"missing_codes = {said}"), tmp_path / "w"
    )
    found = cohort.table("labs").loc["k00", "a"]
    assert np.array_equal(found, kept, equal_nan=True) and "missing_codes" not in labs_of(answer)


def test_a_word_that_means_missing_makes_a_column_of_numbers(tmp_path):
    table = rows({"a": ["[Not Available]"] * 8 + VALUES[8:], "b": VALUES})
    answer, cohort = ingest(
        write_cohort(tmp_path, table, 'missing_codes = ["[Not Available]"]'), tmp_path / "w"
    )
    assert cohort.table("labs")["a"].notna().sum() == 4 and "left_out" not in labs_of(answer)


def european(values):
    return [value.replace(".", ",") for value in values]


@pytest.mark.parametrize("name", ["labs.csv", "labs.tsv", "labs.csv.gz"])
def test_the_european_form_is_read_as_described(tmp_path, name):
    text = rows({"a": european(VALUES), "b": VALUES[:1] * 12}, separator=";").replace("\n", "\r\n")
    text = text.replace("4.0", "4")
    content = gzip.compress(text.encode()) if name.endswith("gz") else text.encode()
    cohort = write_cohort(tmp_path, content, 'delimiter = ";"\ndecimal = ","', name=name)
    _, found = ingest(cohort, tmp_path / "w")
    assert np.allclose(found.table("labs")["a"], [float(value) for value in VALUES])


def test_semicolons_are_found_by_the_key_and_decimal_commas_must_be_described(tmp_path):
    _, found = ingest(
        write_cohort(tmp_path / "1", rows({"a": VALUES}, separator=";")), tmp_path / "w"
    )
    assert np.allclose(found.table("labs")["a"], [float(value) for value in VALUES])
    cohort = write_cohort(
        tmp_path / "2", rows({"n": ["7"] * 12, "a": european(VALUES)}, separator=";")
    )
    with pytest.raises(DescriptionError, match=r'delimiter = ";" and decimal = ","'):
        ingest(cohort, tmp_path / "w2")


def test_lines_that_are_no_case_are_said(tmp_path):
    table = rows({"a": VALUES}).replace("\nk00", "\nunit,mg/l\nk00", 1) + "Mean,5\nSD,2\n,\n"
    answer, cohort = ingest(write_cohort(tmp_path, table), tmp_path / "w")
    assert np.allclose(cohort.table("labs")["a"], [float(value) for value in VALUES])
    assert labs_of(answer)["rows_without_case"] == 3
    assert "rows without a key are not read" in labs_of(answer)["said"]


def test_equal_rows_are_one_and_rows_that_differ_cost_their_case(tmp_path):
    table = rows({"a": VALUES}) + "".join(f"{KEYS[n]},{VALUES[n]}\n" for n in range(3)) + "k05,0\n"
    answer, cohort = ingest(write_cohort(tmp_path, table), tmp_path / "w")
    assert labs_of(answer)["present"] == 11 and labs_of(answer)["equal_rows"] == 3
    refused = cohort.quarantine.query("modality == 'labs'")
    assert refused[["case_id", "code"]].values.tolist() == [["k05", "duplicate_row"]]


def test_a_mean_takes_visits_with_equal_numbers_and_no_copies(tmp_path):
    table = rows({"visit": [str(n) for n in range(12)], "a": ["1"] * 12})
    table += "k00,20,1\nk00,21,4\nk00,21,4\n"
    cohort = write_cohort(tmp_path, table, 'rows = "mean"\ncolumns = ["a"]')
    _, found = ingest(cohort, tmp_path / "w")
    assert found.table("labs").loc["k00", "a"] == 2.0, "(1 + 1 + 4) / 3: the copy is none"


def words(*several):
    return [several[number % len(several)] for number in range(12)]


def test_columns_of_words_become_columns_of_their_categories(tmp_path):
    table = rows({"a": VALUES, "stage": words("I", "II", "III"), "sex": words("M", "f ", "F", "")})
    answer, cohort = ingest(
        write_cohort(tmp_path, table, 'categories = ["stage", "sex"]'), tmp_path / "w"
    )
    found = cohort.table("labs")
    assert list(found.columns) == ["a", "sex=F", "sex=M", "stage=I", "stage=II", "stage=III"] or (
        sorted(found.columns) == ["a", "sex=F", "sex=M", "stage=I", "stage=II", "stage=III"]
    )
    assert found.loc["k01", ["stage=I", "stage=II", "stage=III"]].tolist() == [0, 1, 0]
    assert found.loc["k01", "sex=F"] == 1 and np.isnan(found.loc["k03", ["sex=F", "sex=M"]]).all()
    assert "left_out" not in labs_of(answer)


THERAPY = words("None", "NA", "chemo", "")


def test_a_category_that_reads_none_is_missing_and_counted(tmp_path):
    table = rows({"a": VALUES, "therapy": THERAPY, "sex": words("M", "F")})
    cohort = write_cohort(tmp_path, table, 'categories = ["therapy", "sex"]')
    answer, found = ingest(cohort, tmp_path / "w")
    assert [name for name in found.table("labs") if "therapy" in name] == ["therapy=chemo"]
    assert labs_of(answer)["missing_words"] == {"therapy": 6}
    assert any("None, NA or the like: therapy (6)" in said for said in labs_of(answer)["said"])


@pytest.mark.parametrize(
    ("codes", "names"), [("[]", ["chemo", "NA", "None"]), ('["na", "-9"]', ["chemo", "None"])]
)
def test_where_missing_codes_are_named_other_words_are_categories(tmp_path, codes, names):
    table = rows({"a": VALUES, "therapy": THERAPY})
    section = f'categories = ["therapy"]\nmissing_codes = {codes}'
    answer, found = ingest(write_cohort(tmp_path, table, section), tmp_path / "w")
    values = found.table("labs").drop(columns="a")
    assert list(values.columns) == [f"therapy={name}" for name in names]
    assert values.loc["k00"].tolist() == [float(name == "None") for name in names]
    assert values.loc["k03"].isna().all() and "missing_words" not in labs_of(answer)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ('categories = ["grade"]', "'grade' is none of labs.csv"),
        ('categories = ["name"]', "'name' of labs.csv has 12 different ones in 12 rows"),
    ],
)
def test_what_is_no_category_is_refused(tmp_path, section, message):
    table = rows({"a": VALUES, "name": [f"person {n}" for n in range(12)]})
    with pytest.raises(DescriptionError, match=message):
        ingest(write_cohort(tmp_path, table, section), tmp_path / "w")


def test_a_table_of_one_file_a_case_has_categories_too(tmp_path):
    cohort = write_cohort(tmp_path, "")
    (tmp_path / "t").mkdir()
    for number, key in enumerate(KEYS):
        (tmp_path / "t" / f"{key}.csv").write_text(f"a,stage\n{number},{'I' * (number % 3 + 1)}\n")
    text = (
        cohort.read_text()
        .replace('"labs.csv"', '"t/{case_id}.csv"')
        .replace('key = "case_id"', 'categories = ["stage"]')
    )
    cohort.write_text(text)
    _, found = ingest(cohort, tmp_path / "w")
    assert list(found.table("labs").columns) == ["a", "stage=I", "stage=II", "stage=III"]
    assert found.table("labs").loc["k02"].tolist() == [2, 0, 0, 1]


def test_a_table_that_grows_a_column_is_read_again(tmp_path):
    cohort = write_cohort(tmp_path, rows({"a": VALUES, "b": [""] * 12}))
    first, _ = ingest(cohort, tmp_path / "w")
    (tmp_path / "labs.csv").write_text(rows({"a": VALUES, "b": ["", "7", *[""] * 10]}))
    second, found = ingest(cohort, tmp_path / "w")
    assert labs_of(first)["left_out"] == {"b": "no value in any row"}
    assert list(found.table("labs").columns) == ["a", "b"] and found.table("labs")["b"].sum() == 7
    assert second["cases"]["new"] == 12, "all shards have the same columns"


def test_types_that_only_parquet_knows_are_read(tmp_path):
    from decimal import Decimal

    file = tmp_path / "labs.parquet"
    pd.DataFrame(
        {
            "case_id": KEYS,
            "flag": [True, False, None] * 4,
            "exact": [Decimal("1.25")] * 12,
            "half": np.full(12, 0.5, np.float16),
            "counted": pd.Categorical(["3", "4"] * 6),
            "when": pd.Timestamp("2024-03-01"),
        }
    ).to_parquet(file)
    answer, cohort = ingest(
        write_cohort(tmp_path, file.read_bytes(), name="labs.parquet"), tmp_path / "w"
    )
    found = cohort.table("labs")
    assert found.loc["k00"].tolist() == [1, 1.25, 0.5, 3] and found.loc["k01", "flag"] == 0
    assert np.isnan(found.loc["k02", "flag"])
    assert labs_of(answer)["left_out"] == {"when": "dates or times"}


MAF = (
    "#version 2.4\nHugo_Symbol\tChromosome\tStart_Position\tEnd_Position\tReference_Allele\t"
    "Tumor_Seq_Allele2\tVariant_Classification\tTumor_Sample_Barcode\tPatient\n"
)
MUTATIONS = (
    ("TP53", "17", "100", "k00-01A", "k00"),
    ("TP53", "chr17", "100", "k00-01B", "k00"),
    ("TP53", "17", "200", "k01-01A", "k01"),
    ("TP53", "17", "200", "k01-01A", "k01"),
    ("TP53", "17", "100", "k02-01A", "k02"),
    ("TP53", "17", "300", "k02-01A", "k02"),
    ("1-Mar", "1", "100", "k00-01A", "k00"),
    ("Unknown", "5", "100", "k02-01A", "k02"),
)


@pytest.mark.parametrize(
    ("key", "keys", "counts"),
    [
        ("Patient", ["k00", "k01", "k02"], [1, 1, 2]),
        ("Tumor_Sample_Barcode", ["k00-01A", "k00-01B", "k01-01A", "k02-01A"], [1, 1, 1, 2]),
    ],
)
def test_a_mutation_of_a_case_counts_once_and_a_damaged_gene_is_named(tmp_path, key, keys, counts):
    lines = [
        f"{gene}\t{chromosome}\t{start}\t{start}\tC\tT\tMissense_Mutation\t{sample}\t{patient}\n"
        for gene, chromosome, start, sample, patient in MUTATIONS
    ]
    cohort = write_cohort(tmp_path, MAF + "".join(lines), name="calls.maf", keys=keys, key=key)
    answer, found = ingest(cohort, tmp_path / "w")
    assert found.table("labs").to_dict("list") == {"TP53": counts}
    assert labs_of(answer)["damaged_names"] == ["1-Mar"]


def test_a_gene_that_a_spreadsheet_damaged_is_named_where_it_is_a_column(tmp_path):
    answer, _ = ingest(
        write_cohort(tmp_path, rows({"TP53": VALUES, "2-Sep": VALUES})), tmp_path / "w"
    )
    assert labs_of(answer)["damaged_names"] == ["2-Sep"]


def test_what_is_said_lies_beside_the_cohort(tmp_path):
    ingest(write_cohort(tmp_path, rows({"a": VALUES, "w": words("x", "y")})), tmp_path / "w")
    kept = json.loads((tmp_path / "w/cohorts/hospital/reading_labs.json").read_text())
    assert kept["left_out"] == {"w": "words (categories makes them inputs)"}


def test_a_category_that_tells_the_label_is_said_and_a_number_that_is_it_is_refused(tmp_path):
    label = {"label": words("0", "1")}
    columns = {"a": VALUES, "sex": words("M", "F")}
    task = '[task]\nkind = "binary"\nlabel = "label"\npositive = "1"\n'
    section = f'categories = ["sex"]\n{task}'
    cohort = write_cohort(tmp_path / "1", rows(columns), section, cases=label)
    answer, _ = ingest(cohort, tmp_path / "w1")
    assert labs_of(answer)["present"] == 12
    assert any("sex=F" in json.dumps(leak) for leak in answer["leaks"])
    numbers = rows({"a": VALUES, "sex": words("0", "1")})
    cohort = write_cohort(tmp_path / "2", numbers, task, cases=label)
    with pytest.raises(ContractError, match="sex"):
        ingest(cohort, tmp_path / "w2")
