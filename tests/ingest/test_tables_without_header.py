"""A table without a header has its first patient in place of its names: nothing of them is said,
and nothing is written.
"""

import csv
import shutil

import pytest

PLANTED = ("Maria Zzplanted", "MRN7712345", "1951-02-03")


@pytest.fixture(scope="module")
def phantom(tmp_path_factory):
    from mmdiag.phantom import write_phantom

    folder = tmp_path_factory.mktemp("headerless")
    write_phantom(folder, cases=12, seed=4)
    return folder


@pytest.mark.parametrize("twice", [False, True])
@pytest.mark.parametrize("name", ["cases.csv", "genomics.csv"])
def test_nothing_of_a_first_row_is_said_or_written(phantom, tmp_path, mmdiag_call, name, twice):
    folder = shutil.copytree(phantom, tmp_path / "cohort")
    with (folder / name).open() as file:
        rows = list(csv.reader(file))[1:]
    rows[0][: len(PLANTED)] = [PLANTED[0]] * len(PLANTED) if twice else PLANTED
    with (folder / name).open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    done = mmdiag_call("ingest", "--cohort", folder / "cohort.toml", "--workspace", tmp_path / "w")
    assert done.returncode == 2, done.stderr
    assert not any(word in done.stderr + done.stdout for word in PLANTED), done.stderr
    files = [path for path in (tmp_path / "w").rglob("*") if path.is_file()]
    assert not any(word.encode() in file.read_bytes() for file in files for word in PLANTED)
