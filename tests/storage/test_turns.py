"""Two ingestions of one cohort at once: the second waits and says so, and nothing is there twice."""

import threading

import pytest
from table_builders import KEYS, ingest, rows, write_cohort

from mmdiag.errors import MmdiagError, UsageError
from mmdiag.ingest import plan as ingestion
from mmdiag.storage.turns import turn
from mmdiag.workspace import Workspace

MINUTES = 120.0  # seconds, which only end a hang


def test_a_second_ingestion_waits_until_the_first_is_done(tmp_path):
    said, first_done, order = threading.Event(), threading.Event(), []

    def second():
        with turn(Workspace(tmp_path), "lgg", said.set):
            assert first_done.is_set()
            order.append("second")

    thread = threading.Thread(target=second)
    with turn(Workspace(tmp_path), "lgg", lambda: None):
        thread.start()
        assert said.wait(MINUTES), "it says that another one is at work"
        order.append("first")
        first_done.set()
    thread.join(MINUTES)
    assert order == ["first", "second"]


def test_another_cohort_of_the_workspace_does_not_wait(tmp_path):
    with (
        turn(Workspace(tmp_path), "lgg", lambda: None),
        turn(Workspace(tmp_path), "gbm", lambda: 1 / 0),
    ):
        pass


def test_a_turn_that_fails_leaves_the_next_one_free(tmp_path):
    try:
        with turn(Workspace(tmp_path), "lgg", lambda: None):
            raise KeyError("x")
    except KeyError:
        pass
    with turn(Workspace(tmp_path), "lgg", lambda: 1 / 0):
        pass


def test_a_shard_that_another_process_wrote_meanwhile_is_taken(tmp_path, monkeypatch):
    from mmdiag.ingest import shard as shards

    cohort = write_cohort(tmp_path, rows({"a": ["1"] * 12}))
    inner, done = shards.read_sources, []

    def late(*arguments, **options):
        if not done:  # the whole ingestion happens while the first reads its sources
            done.append(True)
            ingest(cohort, tmp_path / "other")
            for folder in (tmp_path / "other" / "cohorts" / "hospital" / "shards").iterdir():
                target = tmp_path / "w" / "cohorts" / "hospital" / "shards" / folder.name
                target.parent.mkdir(parents=True, exist_ok=True)
                folder.rename(target)
        return inner(*arguments, **options)

    monkeypatch.setattr(shards, "read_sources", late)
    answer, found = ingest(cohort, tmp_path / "w")
    assert answer["cases"]["accepted"] == len(KEYS) and found.table("labs")["a"].sum() == 12
    left = list((tmp_path / "w" / "cohorts" / "hospital" / "shards").iterdir())
    assert len(left) == 1, "no half folder stays"
    assert len(KEYS) <= ingestion.SHARD_CASES


def test_a_first_ingestion_that_is_wrong_use_leaves_nothing_and_an_earlier_one_stays(tmp_path):
    place = Workspace(tmp_path / "w")

    def fail(error):
        with turn(place, "lgg", lambda: None):
            (place.cohort("lgg") / "shards" / "one").mkdir(parents=True, exist_ok=True)
            raise error

    for error, left in (
        (UsageError("x"), False),
        (MmdiagError("x"), True),
        (UsageError("x"), True),
    ):
        with pytest.raises(MmdiagError):
            fail(error)
        assert place.path.exists() is left


def test_who_waited_for_a_folder_that_was_taken_away_has_it_anew(tmp_path):
    place, waits, inside = Workspace(tmp_path / "w"), threading.Event(), threading.Event()

    def second():
        with turn(place, "lgg", waits.set):
            (place.cohort("lgg") / "mark").write_text("x")
            inside.set()

    thread = threading.Thread(target=second)

    def first():
        with turn(place, "lgg", lambda: None):
            thread.start()
            assert waits.wait(MINUTES)
            raise UsageError("x")

    with pytest.raises(UsageError):
        first()
    thread.join(MINUTES)
    assert inside.is_set() and (place.cohort("lgg") / "mark").is_file()
