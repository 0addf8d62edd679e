"""Files that appear in a cohort's folders let the scheduled look begin at once; what the look itself
writes does not, and one at work is waited for.
"""

import threading
from pathlib import Path
from typing import Any

import pytest
from watchfiles import Change, watch

from flows.service.watch import LOOK, counts, look_soon, watched

TOML = """
[cohort]
name = "c"
root = "data"
[cases]
table = "cases.csv"
case_id = "case_id"
[task]
kind = "binary"
label = "label"
positive = "1"
[modalities.lab]
kind = "table"
path = "lab.csv"
key = "case_id"
"""


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("c/data/cases.csv", True),
        ("c/data/images/new.dcm", True),
        ("c/data/w/ledger.db", False),
        ("c/data/w", False),
        ("c/data/w2/ledger.db", True),
        ("c/data/.cases.csv.swp", False),
        ("c/data/big.dcm.part", False),
    ],
)
def test_what_a_look_itself_writes_and_half_a_copy_do_not_count(
    tmp_path: Path, path: str, expected: bool
) -> None:
    change_counts = counts(tmp_path / "c" / "data" / "w")
    assert change_counts(Change.added, str(tmp_path.resolve() / path)) is expected


def test_root_and_description_are_watched_each_folder_once(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "cases.csv").write_text("case_id,label\na,1\n")
    (tmp_path / "cohort.toml").write_text(TOML)
    assert watched(tmp_path / "cohort.toml") == [tmp_path.resolve()]


class Server:
    """What a Prefect server answers, and what it was asked."""

    def __init__(self, at_work: int) -> None:
        self.at_work, self.begun = at_work, list[str]()

    def __call__(self, path: str, document: Any = None) -> Any:
        if path == f"/deployments/name/{LOOK}":
            return {"id": "d1"}
        if path == "/flow_runs/filter":
            assert document["deployments"] == {"id": {"any_": ["d1"]}}
            return [{}] * self.at_work
        self.begun.append(path)
        return {}


def test_a_look_begins_unless_one_is_at_work() -> None:
    idle, busy = Server(0), Server(1)
    assert look_soon(idle) and idle.begun == ["/deployments/d1/create_flow_run"]
    assert not look_soon(busy) and busy.begun == []


def test_a_dropped_file_is_seen_and_one_of_the_workspace_is_not(tmp_path: Path) -> None:
    own, ended = tmp_path / "w", threading.Event()
    own.mkdir()
    seen: set[str] = set()
    begun = threading.Event()

    def look() -> None:
        for changes in watch(
            tmp_path,
            watch_filter=counts(own),
            step=20,
            rust_timeout=50,
            yield_on_timeout=True,
            stop_event=ended,
            recursive=True,
        ):
            seen.update(Path(path).name for _, path in changes)
            begun.set()

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        assert begun.wait(60)
        (own / "ledger.db").write_text("x")
        while "new.dcm" not in seen and watcher.is_alive():
            (tmp_path / "new.dcm").write_text("x")
            ended.wait(0.05)
    finally:
        ended.set()
        watcher.join()
    assert seen == {"new.dcm"}
