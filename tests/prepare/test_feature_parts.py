"""Features are added in parts: what is there is not written again, and there are never many."""

from pathlib import Path

import numpy as np
import pytest

from mmdiag.prepare import feature_parts
from mmdiag.prepare.feature_parts import add_part, read_parts


def rows(start, stop, version="v1"):
    return {
        (f"c{i}", version): np.full((1 + i % 3, 4), i, dtype=np.float32) for i in range(start, stop)
    }


def test_what_is_added_leaves_what_is_there_alone(tmp_path):
    add_part(tmp_path, "flair-k", rows(0, 600), rows(0, 600))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    add_part(tmp_path, "flair-k", rows(600, 603), rows(0, 603))
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in before.items())
    written = [path for path in tmp_path.iterdir() if path not in before]
    assert sum(path.stat().st_size for path in written) < 10_000
    found = read_parts(tmp_path, "flair-k", [*rows(0, 603), ("c0", "v2")])
    assert set(found) == set(rows(0, 603))
    for key, array in rows(0, 603).items():
        assert np.array_equal(found[key], array)


def test_many_small_parts_are_joined_and_what_is_gone_is_left_out(tmp_path):
    current = {}
    for i in range(100):
        current |= rows(i, i + 1)
        if i == 50:  # its file has changed
            del current["c3", "v1"]
        add_part(tmp_path, "flair-k", rows(i, i + 1), current)
    assert len(list(tmp_path.glob("*.parquet"))) < 2 * feature_parts.JOINED
    assert len(list(tmp_path.glob("*.npy"))) == len(list(tmp_path.glob("*.parquet")))
    found = read_parts(tmp_path, "flair-k", list(rows(0, 100)))
    assert set(rows(0, 100)) - set(found) <= {("c3", "v1")}
    assert all(np.array_equal(found[key], array) for key, array in rows(4, 100).items())


def test_what_an_earlier_version_wrote_is_read_and_added_to(tmp_path):
    add_part(tmp_path, "flair-k", rows(0, 5), rows(0, 5))
    (index,) = tmp_path.glob("*.parquet")
    index.rename(tmp_path / "flair-k.parquet")  # one part, under the name alone
    add_part(tmp_path, "flair-k", rows(5, 6), rows(0, 6))
    assert set(read_parts(tmp_path, "flair-k", list(rows(0, 9)))) == set(rows(0, 6))
    assert not read_parts(tmp_path, "flair", list(rows(0, 9)))
    assert not read_parts(tmp_path, "flair-k-colour", list(rows(0, 9)))


@pytest.mark.parametrize("step", range(2 * feature_parts.JOINED + 1))
def test_a_kill_while_parts_are_joined_loses_nothing(tmp_path, monkeypatch, step):
    """At the joined index, and at each file that goes after it."""
    last = feature_parts.JOINED - 1
    for i in range(last):
        add_part(tmp_path, "flair-k", rows(i, i + 1), rows(0, 9))
    write, unlink, calls = feature_parts.write_parquet, Path.unlink, []

    def killed(real, only):
        def call(path, *arguments, **options):
            calls.append(path)
            if len(calls) == step + 2:
                raise KeyboardInterrupt
            return real(path, *arguments, **options)

        return call if only else real

    monkeypatch.setattr(feature_parts, "write_parquet", killed(write, True))
    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", killed(unlink, step > 0))
        with pytest.raises(KeyboardInterrupt):
            add_part(tmp_path, "flair-k", rows(last, last + 1), rows(0, 9))
    monkeypatch.undo()
    found = read_parts(tmp_path, "flair-k", list(rows(0, 9)))
    assert set(found) == set(rows(0, feature_parts.JOINED))
    assert all(np.array_equal(found[key], array) for key, array in rows(0, last + 1).items())
