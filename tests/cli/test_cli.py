"""The command line: exit codes, one paragraph an error, one JSON document an answer, and nothing
written by wrong use.
"""

import errno
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
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
    "inspect",
    "deidentify",
    "contracts",
    "quarantine",
    "status",
    "dashboard",
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


def run_failing(failure: BaseException, tmp_path: Path) -> int:
    """Run a command whose work raises `failure`, in the workspace `tmp_path`."""
    from mmdiag.cli import boundary
    from mmdiag.cli.context import Context, with_context

    @click.group()
    def group() -> None: ...

    @group.command()
    @with_context
    def work(context: Context) -> int:
        raise failure

    return boundary.run(group, ["work", "--workspace", str(tmp_path)])


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


def test_an_unforeseen_failure_is_told_without_its_text(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_failing(ValueError("JANE PLANTED"), tmp_path) == 1
    said = capsys.readouterr().err
    assert "ValueError" in said
    assert "PLANTED" not in said
    assert "Traceback" not in said
    log = next((tmp_path / "logs").iterdir())
    assert log.stem.removeprefix("failure-") in said
    assert "PLANTED" not in log.read_text()
    assert json.loads(log.read_text())[0]["type"] == "ValueError"


def test_a_failure_before_there_is_a_workspace_makes_none(tmp_path: Path) -> None:
    assert run_failing(ValueError("x"), tmp_path / "w") == 1
    assert not (tmp_path / "w").exists()


def test_with_debugging_the_failure_itself_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MMDIAG_DEBUG", "1")
    with pytest.raises(ValueError, match="JANE"):
        run_failing(ValueError("JANE"), tmp_path)


def test_a_full_disk_is_exit_1_and_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_failing(OSError(errno.ENOSPC, "No space left on device", "/w/shards"), tmp_path) == 1
    assert (
        capsys.readouterr().err
        == "Writing needs free space, and there is next to none left at /w/shards: free some and "
        "run the same command again, it picks up where it stopped.\n"
    )


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, click.Abort])
def test_an_interruption_is_exit_130(
    interruption: type[BaseException], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_failing(interruption(), tmp_path) == 130
    assert "picks up" in capsys.readouterr().err


def test_an_error_of_mmdiag_keeps_its_words_and_its_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from mmdiag.errors import MmdiagError, UsageError

    assert run_failing(UsageError("Rule, fact, cure."), tmp_path) == 2
    assert run_failing(MmdiagError("Rule, fact, cure."), tmp_path) == 1
    assert capsys.readouterr().err == "Rule, fact, cure.\nRule, fact, cure.\n"


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


@pytest.mark.parametrize(
    ("cases", "modality", "code"),
    [
        ({"quarantined": 0}, {"quarantined": 0}, 0),
        ({"quarantined": 1}, {"quarantined": 0}, 3),
        ({"quarantined": 0}, {"quarantined": 2}, 3),
    ],
)
def test_anything_in_quarantine_is_exit_3(
    cases: dict[str, int], modality: dict[str, int], code: int
) -> None:
    from mmdiag.cli.context import exit_code

    assert exit_code({"cases": cases, "modalities": {"flair": modality}}) == code


@pytest.fixture
def shown(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """What `mmdiag run` shows for a fused model that differs from the best single modality by
    `value` (`low` to `high`).
    """

    def show(value: float, low: float, high: float) -> str:
        from mmdiag.cli.show import show_run

        split = {"split": "cross-validation", "n": 49}
        metrics = [
            {
                "model": "fused",
                "fusion": "concat",
                "modalities": ["flair", "report"],
                "metric": "auroc",
                "value": 0.81,
                "low": 0.66,
                "high": 0.93,
                **split,
            },
            {
                "model": "flair",
                "fusion": None,
                "modalities": ["flair"],
                "metric": "auroc",
                "value": 0.7,
                "low": 0.5,
                "high": 0.9,
                **split,
            },
            {
                "model": "fused-minus-best",
                "fusion": "concat",
                "modalities": ["flair"],
                "metric": "auroc",
                "value": value,
                "low": low,
                "high": high,
                **split,
            },
        ]
        show_run(
            {
                "seconds": 12.0,
                "workspace": "/w",
                "cohort": {"name": "lgg"},
                "bundle": {"id": "b-1", "path": "/w/bundles/b-1"},
                "predictions": "/w/p.parquet",
                "cases": {"in": 75, "accepted": 74, "quarantined": 1, "labelled": 49, "new": 75},
                "metrics": metrics,
                "modalities": {
                    "flair": {"kind": "image", "present": 74, "absent": 1, "quarantined": 0}
                },
            }
        )
        return capsys.readouterr().out

    return show


def test_a_run_shows_intervals_counts_and_the_way_on(shown: Callable[..., str]) -> None:
    said = shown(0.11, 0.02, 0.2)
    assert "0.81 (0.66 to 0.93)" in said
    assert "75 cases received: 74 accepted, 1 quarantined; 49 labelled" in said
    assert "mmdiag quarantine list" in said
    assert "mmdiag dashboard --workspace /w" in said
    assert "research use only" in said


@pytest.mark.parametrize(
    ("interval", "verdict"),
    [
        ((0.11, 0.02, 0.2), "Fusion helps"),
        ((0.02, -0.05, 0.09), "not shown to be better"),
        ((-0.1, -0.2, -0.01), "Fusion performs worse than the best single modality"),
    ],
)
def test_the_verdict_on_fusion_follows_its_interval(
    interval: tuple[float, float, float], verdict: str, shown: Callable[..., str]
) -> None:
    assert verdict in shown(*interval)


def test_a_terminal_is_safe_from_the_names_of_files(capsys: pytest.CaptureFixture[str]) -> None:
    from mmdiag.cli.show import show_verdict

    show_verdict({"path": "a\x1b]0;title\x07[red]b\n.dcm", "verdict": "accepted", "code": ""})
    assert capsys.readouterr().out.splitlines() == [
        "accepted    -                            a?]0;title?[red]b?.dcm"
    ]


def availability_rows(*patterns: tuple[list[str], float | None, int]) -> list[dict[str, object]]:
    return [
        {
            "availability": "+".join(names),
            "modalities": names,
            "model": "fused",
            "fusion": "concat",
            "split": "test",
            "metric": "auroc",
            "value": value,
            "low": value and value - 0.1,
            "high": value and value + 0.1,
            "n": n,
            "n_positive": n // 2,
        }
        for names, value, n in patterns
    ]


def test_metrics_are_shown_by_the_available_modalities_and_too_few_cases_are_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    from mmdiag.cli.show import show_evaluation

    rows = availability_rows((["flair", "report"], 0.8, 41), (["report"], None, 7))
    metrics = [{**rows[0], "n": 48}]
    titles = {"flair": "FLAIR", "report": "Report"}
    show_evaluation({"metrics": metrics, "availability": rows, "run": "/w/runs/r-1"}, titles)
    lines = capsys.readouterr().out.splitlines()
    assert any(
        "FLAIR, Report" in line and "0.80 (0.70 to 0.90)" in line and "41" in line for line in lines
    )
    assert any("Report" in line and "too few" in line and "7" in line for line in lines)
    show_evaluation({"metrics": metrics, "availability": rows[:1], "run": "/w/runs/r-1"})
    assert "available modalities" not in capsys.readouterr().out, (
        "where all cases have the same, there is nothing to compare"
    )


def test_one_case_is_explained_in_the_cohorts_own_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import pandas as pd

    from mmdiag.cli.show import show_explanation
    from mmdiag.storage.store import Store
    from mmdiag.task import Task

    task = Task(kind="binary", title="Progression within 24 months", positive="1")
    kinds = {"flair": "image", "report": "text"}
    store = Store(tmp_path, pd.DataFrame(), task, kinds, "", {"flair": "FLAIR"})
    answer = {"case_id": "c7", "bundle_id": "b-1", "role": "out-of-fold", "predicted": "1"}
    values = {"contribution_flair": 0.5, "contribution_report": 0.0, "weight_flair": 0.3}
    show_explanation(
        {**answer, **values, "probability": 0.5, "modalities": ["flair"], "workspace": "/w"}, store
    )
    shown = capsys.readouterr().out
    assert "Progression within 24 months: 50 % · cross-validated (out-of-fold) prediction" in shown
    assert "prediction of Progression within 24 months (Shapley, log-odds)" in shown
    lines = shown.splitlines()
    assert any("FLAIR" in line and "+0.50" in line for line in lines)
    assert any("report" in line and "not acquired" in line for line in lines)
