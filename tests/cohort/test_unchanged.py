"""A cohort of which nothing has changed is not read again; whatever may have changed is."""

import os
import shutil
from pathlib import Path

import pytest

from mmdiag import api
from mmdiag.cohort.unchanged import FILE, look
from mmdiag.description import read_description
from mmdiag.storage.ledger import Ledger
from mmdiag.storage.store import Store
from mmdiag.workspace import Workspace

LONG_AGO = 1_700_000_000


def aged(folder):
    """Files that changed just now may change again unseen: these have not."""
    for path in folder.rglob("*"):
        os.utime(path, (LONG_AGO, LONG_AGO))
    return folder


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    from mmdiag.phantom import write_phantom

    folder = tmp_path_factory.mktemp("unchanged")
    write_phantom(folder, cases=8, seed=4, broken=1)
    return folder


@pytest.fixture
def place(written, tmp_path, monkeypatch):
    """A cohort, its workspace, and a function that ingests and says whether anything was read."""
    from mmdiag.ingest import plan as planning

    folder = aged(Path(shutil.copytree(written, tmp_path / "c")))
    workspace = Workspace(tmp_path / "w")
    looked = []
    real = planning.plan

    def counted(*arguments, **options):
        looked.append(1)
        return real(*arguments, **options)

    monkeypatch.setattr(planning, "plan", counted)

    def ingest(**options):
        looked.clear()
        description = read_description(folder / "cohort.toml")
        ledger = options.pop("ledger", None) or Ledger(workspace.ledger_url)
        return api.ingest(description, workspace, ledger, **options), bool(looked)

    return folder, workspace, ingest


def test_the_answer_is_the_same_without_reading_anything(place):
    _, _, ingest = place
    first, read = ingest()
    assert read and first["cases"]["new"] == first["cases"]["in"] == 8
    again, read = ingest()
    assert not read and again == first | {"cases": first["cases"] | {"new": 0}}


def test_what_has_gone_is_said_by_the_ingestion_that_finds_it(place):
    folder, _, ingest = place
    ingest()
    table = folder / "cases.csv"
    table.write_text("".join(table.read_text().splitlines(keepends=True)[:-1]))
    os.utime(table, (LONG_AGO + 1, LONG_AGO + 1))
    found, read = ingest()
    assert read and found["cases"]["gone"] == 1
    again, read = ingest()
    assert not read and "gone" not in again["cases"]


def changes():
    def touched(folder, _):
        file = min(folder.glob("notes/*.txt"))
        file.write_text(file.read_text() + " More.")
        os.utime(file, (LONG_AGO + 1, LONG_AGO + 1))

    def gone(folder, _):
        min(folder.glob("notes/*.txt")).unlink()

    def another(folder, _):
        file = folder / "notes" / "another.txt"
        file.write_text("A note of nobody.")
        os.utime(file, (LONG_AGO, LONG_AGO))

    def table(folder, _):
        file = folder / "cases.csv"
        file.write_text("\n".join(file.read_text().splitlines()[:-1]) + "\n")
        os.utime(file, (LONG_AGO, LONG_AGO))

    def described(folder, _):
        file = folder / "cohort.toml"
        file.write_text(file.read_text() + "\n# said\n")
        os.utime(file, (LONG_AGO + 5, LONG_AGO + 5))

    def fresh(folder, _):
        os.utime(min(folder.glob("notes/*.txt")))

    def decided(_, cohort):
        (cohort / "decisions.json").write_text("{}")

    def shard(_, cohort):
        shutil.rmtree(min(cohort.glob("shards/[!.]*")))

    def store(_, cohort):
        os.utime(cohort / "cases.parquet", (LONG_AGO, LONG_AGO))

    return [touched, gone, another, table, described, fresh, decided, shard, store]


@pytest.mark.parametrize("change", changes(), ids=lambda change: change.__name__)
def test_what_may_have_changed_is_read_again(place, change):
    folder, workspace, ingest = place
    ingest()
    assert not ingest()[1]
    change(folder, next((workspace.path / "cohorts").iterdir()))
    assert ingest()[1]


def test_a_ledger_that_does_not_know_the_cohort_learns_it(place, tmp_path):
    _, _, ingest = place
    ingest()
    other = Ledger(f"sqlite:///{tmp_path / 'other.db'}")
    assert ingest(ledger=other)[1] and len(other.cohorts()) == 1
    assert not ingest(ledger=other)[1]


def test_the_columns_that_a_bundle_reads_are_another_question(place):
    _, _, ingest = place
    ingest()
    wanted = {"expression": ["GENE0001"]}
    assert ingest(wanted=wanted)[1] and not ingest(wanted=wanted)[1]


def test_a_folder_behind_a_link_cannot_be_told(place, tmp_path):
    folder, workspace, ingest = place
    ingest()
    description = read_description(folder / "cohort.toml")
    cohort = workspace.cohort(description.name)
    assert look(description, cohort, None) is not None and (cohort / FILE).is_file()
    target = min((folder / "dicom").iterdir())
    target.rename(folder / "elsewhere")
    target.symlink_to(folder / "elsewhere")
    assert look(description, cohort, None) is None and ingest()[1]


def test_another_version_of_the_program_reads_again(place, tmp_path, monkeypatch):
    from mmdiag.cohort import unchanged

    _, _, ingest = place
    ingest()
    other = tmp_path / "program"
    other.mkdir()
    (other / "readers.py").write_text("")
    aged(other)
    monkeypatch.setattr(unchanged, "PROGRAM", other)
    assert ingest()[1] and not ingest()[1]


@pytest.mark.parametrize("of", ["files", "folders", "contents"])
def test_what_is_exchanged_between_two_cases_is_read_again(place, of):
    """Files that come out of one archive have one time, and often one size."""
    folder, workspace, ingest = place
    first, second = sorted(folder.glob("notes/*.txt"))[:2]
    texts = "Old infarct on the left.", "Old infarct of a side . "
    for file, text in zip((first, second), texts, strict=True):
        file.write_text(text)
    if of == "folders":
        toml = folder / "cohort.toml"
        toml.write_text(toml.read_text().replace("notes/{case_id}.txt", "notes/{case_id}/a.txt"))
        for file in folder.glob("notes/*.txt"):
            moved = folder / "notes" / file.stem / "a.txt"
            moved.parent.mkdir()
            file.rename(moved)
        first, second = (folder / "notes" / file.stem / "a.txt" for file in (first, second))
    aged(folder)
    ingest()
    aside = folder / "aside"
    one, two = (f.parent if of == "folders" else f for f in (first, second))
    if of == "contents":
        first.write_text(texts[1])
        second.write_text(texts[0])
    else:
        one.rename(aside)
        two.rename(one)
        aside.rename(two)
    for file in (first, second):
        os.utime(file, (LONG_AGO, LONG_AGO))
    _, looked = ingest()
    store = Store.open(workspace, read_description(folder / "cohort.toml").name)
    keys = store.cases["case_id"].tolist()
    names = [(f.parent.name if of == "folders" else f.stem) for f in (first, second)]
    found = [store.text("report", keys.index(name)).strip() for name in names]
    assert looked and found == [texts[1].strip(), texts[0].strip()]
