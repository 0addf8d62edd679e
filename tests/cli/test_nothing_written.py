"""Exit 2 means that nothing was written: whatever is wrong, and whichever command finds it."""

from pathlib import Path

import pytest
from table_builders import KEYS, rows, write_cohort

from mmdiag.cli import boundary, cli

VALUES = {"a": [str(number) for number in range(12)], "b": ["1", "1", "2", "3"] * 3}
LABELS = {"cases": {"outcome": ["yes", "no"] * 6}}
TASK = '[task]\nkind = "binary"\nlabel = "outcome"\npositive = "yes"\n'
ABSENT = '[modalities.note]\nkind = "text"\npath = "notes/{case_id}.txt"\n'
LEAK = {"leaking": ["0.5", "0.1"] * 6}  # tells the label, and nobody named it


def left(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*")) if folder.exists() else []


def refused(capsys: pytest.CaptureFixture[str], workspace: Path, *arguments: object) -> str:
    """What a command says that must end with exit 2 and leave nothing behind."""
    given = [*map(str, arguments), "--workspace", str(workspace)]
    assert boundary.run(cli, given) == boundary.WRONG_USE, capsys.readouterr().err
    assert not workspace.exists(), left(workspace)
    said = capsys.readouterr().err
    assert "should not have" not in said
    return said


FAULTS = {
    "a missing key column": (rows(VALUES), "", {"key": "patient"}, "patient"),
    "an unknown key": (rows(VALUES), "colour = 3", {}, "colour"),
    "a modality of nobody": (rows(VALUES), ABSENT, {}, "note"),
    "keys of nobody": (rows(VALUES, [f"x{key}" for key in KEYS]), "", {}, "for none of 12"),
    "a modality of blank cells": (
        rows({"a": [""] * 12}),
        'columns = ["a"]',
        {},
        "holds nothing for any of 12",
    ),
    "a table that leaks its label": (rows(VALUES | LEAK), TASK, LABELS, "leaking"),
    "a keyword that is none": (
        rows(VALUES),
        '[modalities.ct]\nkind = "image"\npath = "ct/{case_id}"\nselect = { Serie = "x" }',
        {},
        "Serie",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_an_ingestion_that_is_refused_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], fault: str
) -> None:
    table, section, more, word = FAULTS[fault]
    cohort = write_cohort(tmp_path / "c", table, section, **more)
    if fault == "a missing key column":
        cohort.write_text(cohort.read_text().replace('key = "patient"', 'key = "nobody"'))
        word = "nobody"
    assert word in refused(capsys, tmp_path / "w", "ingest", "--cohort", cohort)


WRONG_USES = {
    "no label": ("train", "", {}, (), "none: name a label"),
    "one subject of a class": (
        "train",
        TASK,
        {"cases": {"outcome": ["yes"] + ["no"] * 11}},
        (),
        "at least 2 labelled subjects",
    ),
    "a run without labels": ("run", "", {}, (), "none: name a label"),
    "a metric of another task": (
        "train",
        TASK,
        LABELS,
        ("--set", "training.early_stopping=c_index"),
        "c_index",
    ),
    "a fusion that is none": ("run", TASK, LABELS, ("--fusion", "magic"), "magic"),
    "weights that are not there": (
        "train",
        TASK + '[modalities.note]\nkind = "text"\npath = "notes/{case_id}.txt"\n',
        LABELS,
        ("--recipe", "end_to_end", "--set", "text.weights=/nowhere"),
        "weights",
    ),
    "a pretraining that is not there": ("train", TASK, LABELS, ("--pretrained", "p-0"), "p-0"),
    "a search of a pretraining's weights": (
        "search",
        TASK,
        LABELS,
        ("--set", "pretrained=p-0"),
        "pretrained",
    ),
    "a pretraining of images where there are none": (
        "pretrain",
        TASK,
        LABELS,
        ("--what", "image"),
        "image",
    ),
    "a bundle that is none": ("score", TASK, LABELS, ("--bundle", "b-0", "--out", "p"), "b-0"),
    "metrics of no run": ("evaluate", TASK, LABELS, (), "models are all fitted"),
}


@pytest.mark.parametrize("use", WRONG_USES)
def test_a_use_that_is_wrong_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], use: str
) -> None:
    command, section, more, options, word = WRONG_USES[use]
    cohort = write_cohort(tmp_path / "c", rows(VALUES), section, **more)
    (tmp_path / "c" / "notes").mkdir()
    for key in KEYS:
        (tmp_path / "c" / "notes" / f"{key}.txt").write_text(f"A lesion was seen in {key}.")
    assert word in refused(capsys, tmp_path / "w", command, "--cohort", cohort, *options)


def test_what_an_earlier_ingestion_left_stays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = tmp_path / "w"
    good = write_cohort(tmp_path / "c", rows(VALUES), TASK, **LABELS)
    asked = ["ingest", "--cohort", str(good), "--workspace", str(workspace)]
    assert boundary.run(cli, asked) == boundary.DONE
    before = {path: path.read_bytes() for path in left(workspace) if path.suffix == ".parquet"}
    write_cohort(tmp_path / "c", rows(VALUES | LEAK), TASK, **LABELS)
    assert boundary.run(cli, asked) == boundary.WRONG_USE
    assert "leaking" in capsys.readouterr().err
    kept = {path: path.read_bytes() for path in before if path.name == "cases.parquet"}
    assert kept == {path: before[path] for path in kept} and kept


def test_a_refused_ingestion_does_not_rename_what_the_store_holds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from mmdiag.cohort.view import CohortView
    from mmdiag.workspace import Workspace

    workspace = tmp_path / "w"
    cohort = write_cohort(tmp_path / "c", rows(VALUES), TASK, **LABELS)
    asked = ["ingest", "--cohort", str(cohort), "--workspace", str(workspace)]
    assert boundary.run(cli, asked) == boundary.DONE
    swapped = {"b": VALUES["b"], "leaking": LEAK["leaking"]}
    write_cohort(tmp_path / "c", rows(swapped), TASK, **LABELS)
    assert boundary.run(cli, asked) == boundary.WRONG_USE
    capsys.readouterr()
    table = CohortView.open(Workspace(workspace), "hospital").table("labs")
    assert list(table.columns) == ["a", "b"] and table["a"].tolist() == list(range(12))


@pytest.mark.parametrize(
    "content",
    ["a = " + "[" * 100_000, "a = " + "{a = " * 100_000, "a" + ".a" * 100_000 + " = 1"],
    ids=["brackets", "braces", "dots"],
)
def test_a_description_that_is_nested_without_end_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    (tmp_path / "cohort.toml").write_text(content)
    said = refused(capsys, tmp_path / "w", "ingest", "--cohort", tmp_path / "cohort.toml")
    assert "nested" in said


def test_a_list_of_many_numbers_is_not_nested(tmp_path: Path) -> None:
    from mmdiag.description import read_description

    codes = ", ".join(f"-{number}.5" for number in range(300))
    cohort = write_cohort(tmp_path / "c", rows(VALUES), f"missing_codes = [{codes}]")
    cohort.write_text(cohort.read_text() + f'[task]\ntitle = "{"." * 300}"  # {"." * 300}\n')
    assert len(read_description(cohort).modalities) == 1


@pytest.mark.parametrize("letter", ["a", "ä", "界", "\U0001d4b3"])
def test_a_key_of_128_letters_is_read_or_refused_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], letter: str
) -> None:
    keys = [*KEYS[:11], letter * 128]
    cohort = write_cohort(tmp_path / "c", rows(VALUES, keys), ABSENT, keys=keys)
    (tmp_path / "c" / "notes").mkdir()
    for key in KEYS:
        (tmp_path / "c" / "notes" / f"{key}.txt").write_text(f"A lesion was seen in {key}.")
    asked = ["ingest", "--cohort", str(cohort), "--workspace", str(tmp_path / "w")]
    code = boundary.run(cli, asked)
    assert code == (boundary.DONE if letter == "a" else boundary.WRONG_USE)
    assert letter == "a" or "plain key" in capsys.readouterr().err
