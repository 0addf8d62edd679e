"""What the viewer is told and given: slices as they were acquired, windows of their kind, a map on
the body alone, and no slice to who may not see the case.
"""

import base64

import numpy as np
import pytest
from published_example import DISPLAYED, NAME, SIDE, publish

from dashboards.viewer.overlay import overlay
from dashboards.viewer.series import presets, window_of
from dashboards.viewer.slices import answer
from mmdiag.storage.display.codec import HEAD, KINDS
from mmdiag.storage.store import Store

CT = {"hounsfield": True, "windows": [], "range": [-1000, 1000]}
MR = {"hounsfield": False, "windows": [[20, 150], [0, 900]], "range": [3, 412]}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    return publish(tmp_path_factory.mktemp("viewer") / "w", cases=4).workspace


@pytest.fixture
def asked(workspace, monkeypatch):
    monkeypatch.setenv("MMDIAG_WORKSPACE", str(workspace.path))
    monkeypatch.delenv("MMDIAG_LEDGER", raising=False)
    cases = Store.open(workspace, NAME).cases
    case = cases.loc[cases["has_flair"], "case_id"].iloc[0]
    asked = {"cohort": NAME, "case": case, "version": "v1", "modality": "flair"}
    return asked | {"of": "display", "slice": "4"}


def pixels(content):
    kind, channels, rows, columns, _ = HEAD.unpack_from(content)
    plane = np.frombuffer(content[HEAD.size :], KINDS[kind])
    return plane.reshape((rows, columns, channels)[: 2 + (channels > 1)])


def test_a_slice_comes_as_it_was_acquired_and_the_array_as_it_is_stored(workspace, asked):
    given = answer(asked)
    store = Store.open(workspace, NAME)
    row = int(np.flatnonzero(store.cases["case_id"] == asked["case"])[0])
    assert given.status_code == 200
    assert np.array_equal(pixels(given.body), store.display("flair", row).slice(4))
    stored = answer(asked | {"of": "array"})
    assert np.array_equal(pixels(stored.body), store.images("flair", row)[4])


@pytest.mark.parametrize(
    "change",
    [
        {"slice": str(DISPLAYED)},
        {"slice": "-1"},
        {"slice": "one"},
        {"case": "C-9999"},
        {"version": "v0"},
        {"modality": "report"},
        {"modality": "../flair"},
        {"cohort": "../x"},
        {"cohort": ""},
    ],
)
def test_what_is_not_there_is_not_found_and_not_repeated(asked, change):
    given = answer(asked | change)
    assert given.status_code == 404 and given.body == b"There is no such slice."


def test_a_role_that_may_see_nothing_gets_no_slice(workspace, asked):
    file = workspace.path / "users.toml"
    file.write_text('[users.somebody_else]\nrole = "reader"\n')
    try:
        assert answer(asked).status_code == 403
    finally:
        file.unlink()


def test_windows_of_a_ct_are_those_of_radiology_and_of_an_mr_its_own():
    found = presets(CT)
    assert [one["name"] for one in found][:4] == ["Brain", "Bone", "Lung", "Soft tissue"]
    assert (found[0]["low"], found[0]["high"]) == (0, 80)
    assert [one["name"] for one in found if one["first"]] == ["Soft tissue"]
    found = presets(MR)
    assert [(one["name"], one["high"]) for one in found] == [
        ("Series 1", 150),
        ("Series 2", 900),
        ("Full range", 412),
    ]
    assert found[0]["first"] and not found[1]["first"]
    assert presets(CT | {"windows": [[0, 90]]})[4] == {
        "name": "Series",
        "low": 0,
        "high": 90,
        "first": True,
    }


def test_colours_are_shown_as_they_are():
    assert window_of(np.full((1, 4, 4, 3), 90, np.uint8)) == (0, 255)


def test_a_map_is_parts_on_the_body_with_both_ends_named():
    stack = np.zeros((4, SIDE, SIDE), np.uint8)
    stack[:, 12:52, 20:44] = 120
    place = {"slice": 2, "row": 24, "height": 8, "column": 32, "width": 8, "value": -2.0}
    told = overlay([place], stack, None, "Progression")
    assert told["parts"] == [place]
    assert told["largest"] == 2 and told["read"] == [0, 1, 2, 3]
    assert (told["lowers"], told["raises"]) == ("lowers Progression", "raises Progression")
    bits = np.unpackbits(np.frombuffer(base64.b64decode(told["mask"]), np.uint8))
    assert np.array_equal(bits.reshape(stack.shape), stack > 0)


@pytest.mark.parametrize(
    ("values", "full"), [([0.1] * 99 + [5.0], 0.5), ([1.0] * 99 + [5.0], 1.0), ([2.0], 2.0)]
)
def test_full_colour_is_what_most_parts_have_less_than_and_never_noise(values, full):
    stack = np.full((1, SIDE, SIDE), 120, np.uint8)
    place = {"slice": 0, "row": 0, "height": 8, "column": 0, "width": 8}
    told = overlay([place | {"value": value} for value in values], stack, None, "x")
    assert told["full"] == pytest.approx(full) and told["largest"] == values[-1]
    assert overlay([], stack, None, "x")["full"] == 0


def test_a_map_lies_over_what_is_shown(workspace):
    store = Store.open(workspace, NAME)
    row = int(np.flatnonzero(store.present("flair"))[0])
    stack, display = store.images("flair", row), store.display("flair", row)
    part = {"slice": 3, "row": 8, "column": 16, "height": 8, "width": 8, "value": 0.5}
    told = overlay([part], stack, display, "Progression")
    wanted = {"slice": 6, "row": 16, "column": 32, "height": 16, "width": 16, "value": 0.5}
    assert told["parts"] == [wanted] and told["read"] == list(range(0, DISPLAYED, 2))
