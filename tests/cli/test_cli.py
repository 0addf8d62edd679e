"""The command line: help, wrong use, settings, one JSON document an answer, and nothing written by
wrong use.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

COMMANDS = (
    "phantom",
    "init",
    "fetch",
    "send",
    "run",
    "ingest",
    "pretrain",
    "train",
    "search",
    "evaluate",
    "explain",
    "score",
    "validate",
    "inspect",
    "deidentify",
    "contracts",
    "quarantine",
    "bundle",
    "review",
    "reviews",
    "outcomes",
    "models",
    "refit",
    "audit",
    "status",
    "dashboard",
    "up",
    "down",
)
HEAVY = (
    "torch",
    "monai",
    "transformers",
    "great_expectations",
    "prefect",
    "streamlit",
    "pandas",
    "numpy",
    "sklearn",
    "sqlalchemy",
    "rich",
)


def run(*arguments: object) -> int:
    from mmdiag.cli import boundary, cli

    return boundary.run(cli, [str(argument) for argument in arguments])


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_every_command_shows_an_example_of_it(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(command, "--help") == 0
    said = capsys.readouterr().out
    assert "Examples:" in said
    assert f"mmdiag {command} " in said


def test_the_help_names_every_command_and_the_exit_codes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("--help") == 0
    said = capsys.readouterr().out
    assert [
        line.split()[0] for line in said.split("Commands:")[1].split("\n\n")[0].strip().splitlines()
    ] == list(COMMANDS)
    assert "130 interrupted" in said


def test_help_imports_nothing_heavy() -> None:
    code = (
        f"import sys, mmdiag, mmdiag.cli; print([name for name in {HEAVY!r} if name in "
        "sys.modules])"
    )
    assert (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.strip()
        == "[]"
    )


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("foo",), "foo"),
        (("run",), "--cohort"),
        (("run", "--cohort", "no.toml", "--sed", "1"), "--sed"),
        (("run", "--cohort", "no_such.toml"), "no_such.toml"),
        (("phantom", "--out", "p", "--signal", "loud"), "loud"),
        (("phantom", "--out", "p", "--cases", "20", "--broken", "21"), "--broken 21"),
        (("score", "--bundle", "no_such", "--cohort", "c.toml", "--out", "p.parquet"), "no_such"),
        (("quarantine", "show", "c0007"), "c0007"),
        (("explain", "c0007"), "c0007"),
        (("explain", "c0007", "--cohort-name", "no_such"), "cohort no_such"),
    ],
)
def test_wrong_use_is_exit_2_with_one_paragraph_and_writes_nothing(
    arguments: tuple[str, ...],
    word: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(*arguments) == 2
    said = capsys.readouterr()
    assert word in said.err
    assert said.out == ""
    assert len(said.err.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_fusion_or_recipe_names_the_nearest_known_one() -> None:
    from mmdiag.errors import UnknownNameError
    from mmdiag.recipes import named

    with pytest.raises(UnknownNameError, match="did you mean 'concat'"):
        named("default", fusion="concatt")
    with pytest.raises(UnknownNameError, match="did you mean 'default'"):
        named("defalt")


def test_settings_change_fields_of_a_recipe() -> None:
    from mmdiag.config import settings_of
    from mmdiag.recipes import named

    said = [
        "training.learning_rate=1",
        "training.clip_norm=null",
        "training.amp=false",
        "image.encoder=texture",
        "evaluation.folds=10",
        "training.modality_dropout=observed",
    ]
    found = named("default", settings=settings_of(said))
    assert (
        found.training.learning_rate == 1.0
        and isinstance(found.training.learning_rate, float)
        and found.training.clip_norm is None
    )
    assert (
        found.training.amp,
        found.image.encoder,
        found.evaluation.folds,
        found.training.modality_dropout,
    ) == (False, "texture", 10, "observed")
    assert named("default") == named("default", settings={}), (
        "nothing is changed where nothing is said"
    )


def test_settings_that_only_make_sense_together_are_taken_together() -> None:
    from mmdiag.config import settings_of
    from mmdiag.recipes import named

    image = named(
        "default",
        settings=settings_of(
            ["image.encoder=resnet18", "image.training=fine_tuned", "image.weights=/models/x"]
        ),
    ).image
    assert (image.encoder, image.training, image.weights) == ("resnet18", "fine_tuned", "/models/x")


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("learning_rate=1", "PART.FIELD=VALUE, found 'learning_rate=1'"),
        ("training.learning_rate", "PART.FIELD=VALUE"),
        ("training.learning_rat=1", "did you mean 'training.learning_rate'"),
        ("training.learning_rate=fast", "training.learning_rate is a number, found 'fast'"),
        ("evaluation.folds=2.5", "evaluation.folds is a whole number, found 2.5"),
        ("training.max_epochs=true", "a whole number, found True"),
        ("image.encoder=resnet11", "did you mean"),
        ("model.width=30", "a multiple of heads, found 30 and 4"),
        ("evaluation.folds=1", "folds must be at least 2"),
        ("evaluation.valid_share=1", "between 0 and 1"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(setting: str, said: str) -> None:
    from mmdiag.config import settings_of
    from mmdiag.errors import MmdiagError
    from mmdiag.recipes import named

    with pytest.raises(MmdiagError, match=said):
        named("default", settings=settings_of([setting]))


def test_the_status_of_an_empty_workspace_is_empty_and_makes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("status", "--workspace", tmp_path / "w", "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert {
        key: answer[key] for key in ("cohorts", "bundles", "runs", "predictions", "quarantined")
    } == {
        "cohorts": [],
        "bundles": [],
        "runs": [],
        "predictions": 0,
        "quarantined": 0,
    }
    assert run("quarantine", "list", "--workspace", tmp_path / "w", "--json") == 0
    assert json.loads(capsys.readouterr().out) == []
    assert run("status", "--workspace", tmp_path / "w") == 0
    assert "holds nothing yet" in capsys.readouterr().out
    assert not (tmp_path / "w").exists()


def test_a_phantom_never_goes_over_other_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    assert run("phantom", "--out", tmp_path) == 2
    assert "holds other files" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_json_is_standard_json() -> None:
    import numpy as np
    import pandas as pd

    from mmdiag.cli.context import to_json

    answer = {
        "nan": float("nan"),
        "count": np.int64(3),
        "list": np.array([1.5]),
        "when": pd.Timestamp("2025-01-02"),
        "never": pd.NaT,
        "path": Path("/x"),
    }
    assert json.loads(to_json(answer)) == {
        "nan": None,
        "count": 3,
        "list": [1.5],
        "when": "2025-01-02 00:00:00",
        "never": None,
        "path": "/x",
    }
