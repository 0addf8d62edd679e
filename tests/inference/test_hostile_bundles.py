"""A bundle is what its id says: whatever a stranger does to one, it is refused in a sentence before
anything is written.
"""

import hashlib
import json
import os
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from mmdiag.errors import BundleError

WEIGHTS, PREPARATION = "model.safetensors", "preparation.safetensors"


@pytest.fixture
def bundle(small_run, tmp_path):
    folder = small_run.workspace.bundles / small_run.answer["bundle"]["id"]
    return shutil.copytree(folder, tmp_path / folder.name)


def sign_anew(folder, **changes):
    """Hash the files and name the id that follows, as whoever can write the folder would."""
    manifest = json.loads((folder / "manifest.json").read_text())
    files = {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in manifest["files"]
    }
    text = json.dumps(files, sort_keys=True).encode()
    manifest |= {"files": files, "id": f"b-{hashlib.sha256(text).hexdigest()[:12]}"}
    (folder / "manifest.json").write_text(json.dumps(manifest | changes))


def refused(folder, match="."):
    from mmdiag.inference.bundle import Bundle

    with pytest.raises(BundleError, match=match) as said:
        Bundle.load(folder)
    assert "Traceback" not in str(said.value) and str(said.value).endswith(".")


def change_arrays(folder, name, change):
    arrays = {key: value.copy() for key, value in load_file(folder / name).items()}
    change(arrays)
    save_file(arrays, folder / name)
    sign_anew(folder)


def change_json(folder, name, change):
    found = json.loads((folder / name).read_text())
    change(found)
    (folder / name).write_text(json.dumps(found))
    sign_anew(folder)


@pytest.mark.parametrize("name", [WEIGHTS, "config.json", "preparation.json", PREPARATION])
def test_a_file_that_ends_early_is_refused(bundle, name):
    content = (bundle / name).read_bytes()
    (bundle / name).write_bytes(content[: len(content) // 2])
    refused(bundle, name)
    sign_anew(bundle)
    refused(bundle)


@pytest.mark.parametrize(
    "text",
    ["", "no json", "[]", "{}", '{"files": {}}', '{"format": 999}', "[" * 100_000, '{"id": NaN}'],
)
def test_a_damaged_manifest_is_refused(bundle, text):
    (bundle / "manifest.json").write_text(text)
    refused(bundle)


@pytest.mark.parametrize(
    "identity", ["x/../../../evil", "b-", "b-0123456789ab", "B-0123456789AB", 5, None, ["b"], ""]
)
def test_an_id_that_is_not_that_of_the_files_is_refused(bundle, identity):
    sign_anew(bundle, id=identity)
    refused(bundle, "id of a bundle follows from its files")


@pytest.mark.parametrize(
    "files", [{}, {"model.safetensors": "0"}, {"../model.safetensors": "0" * 64}, [], None, "x"]
)
def test_a_manifest_that_names_other_files_is_refused(bundle, files):
    sign_anew(bundle, files=files)
    refused(bundle, "manifest")


def test_weights_that_were_turned_have_another_id(bundle):
    identity = bundle.name
    change_arrays(bundle, WEIGHTS, lambda all_: all_.update({k: -v for k, v in all_.items()}))
    assert json.loads((bundle / "manifest.json").read_text())["id"] != identity
    sign_anew(bundle, id=identity)
    refused(bundle, "id of a bundle")


def test_files_that_the_ledger_knows_otherwise_are_refused(small_run, bundle):
    from mmdiag.inference.bundle import Bundle

    known = small_run.ledger.bundle_files(bundle.name)
    assert known and Bundle.load(bundle, small_run.ledger.bundle_files).id == bundle.name
    with pytest.raises(BundleError, match="ledger knows"):
        Bundle.load(bundle, lambda _: {**known, "card.md": "0" * 64})
    assert small_run.ledger.bundle_files("b-000000000000") is None


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", [WEIGHTS, PREPARATION])
def test_a_number_that_is_none_is_refused_wherever_it_stands(bundle, name, value):
    original, tried = load_file(bundle / name), 0
    for key, array in original.items():
        allowed = key.endswith(".scale") and value == np.inf  # a column that does not vary
        if array.dtype.kind != "f" or not array.size or allowed:
            continue
        changed = {**original, key: array.copy()}
        changed[key].reshape(-1)[-1] = value
        save_file(changed, bundle / name)
        sign_anew(bundle)
        refused(bundle)
        tried += 1
    assert tried >= 10


@pytest.mark.parametrize("scale", [0.0, -1.0])
def test_a_scale_that_is_not_positive_is_refused(bundle, scale):
    def change(arrays):
        for key in arrays:
            if key.endswith(".scale"):
                arrays[key][0] = scale

    change_arrays(bundle, PREPARATION, change)
    refused(bundle, "not positive")


@pytest.mark.parametrize("fault", ["longer", "shorter", "half", "gone", "renamed"])
@pytest.mark.parametrize("name", [WEIGHTS, PREPARATION])
def test_an_array_of_another_shape_precision_or_name_is_refused(bundle, name, fault):
    original, tried = load_file(bundle / name), 0
    for key, array in original.items():
        if array.dtype.kind != "f" or not array.ndim:
            continue
        others = {other: value for other, value in original.items() if other != key}
        changed = {
            "longer": {key: np.concatenate([array, array])},
            "shorter": {key: array[:-1]},
            "half": {key: array.astype(np.float16)},
            "gone": {},
            "renamed": {f"{key}x": array},
        }[fault]
        save_file({**others, **changed}, bundle / name)
        sign_anew(bundle)
        refused(bundle)
        tried += 1
    assert tried >= 10


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("run", "fusion"), "nothing"),
        (("run", "fusion"), 5),
        (("run", "model", "width"), 1_000_000_000),
        (("run", "model", "width"), "wide"),
        (("run", "unknown"), 1),
        (("run",), []),
        (("task",), {}),
        (("task", "kind"), "fortune"),
        (("task", "classes"), 7),
        (("kinds",), {"flair": "table"}),
        (("kinds",), []),
        (("trained_on",), 5),
        (("trained_on",), {"salt": "x"}),
        (("cohort",), "x"),
        (("patterns",), 5),
    ],
)
def test_a_configuration_that_none_could_be_is_refused(bundle, path, value):
    def change(found):
        for name in path[:-1]:
            found = found[name]
        found[path[-1]] = value

    change_json(bundle, "config.json", change)
    refused(bundle)


@pytest.mark.parametrize(
    "change",
    [
        lambda all_: all_["flair"].update(kind="table"),
        lambda all_: all_["flair"].update(kind="hologram"),
        lambda all_: all_["flair"].update(reads="minds"),
        lambda all_: all_["flair"].update(summary=None),
        lambda all_: all_["expression"].update(columns=all_["expression"]["columns"][:-1]),
        lambda all_: all_["expression"].update(groups=[]),
        lambda all_: all_["report"].update(shape=[10**12]),
        lambda all_: all_["report"].update(architecture={"num_hidden_layers": 10**9}),
        lambda all_: all_.pop("report"),
        lambda all_: all_.update(more=all_["report"]),
        lambda all_: all_.clear(),
    ],
)
def test_a_preparation_that_none_could_be_is_refused(bundle, change):
    change_json(bundle, "preparation.json", change)
    refused(bundle)


@pytest.mark.parametrize("name", ["manifest.json", WEIGHTS, "config.json", "card.md"])
@pytest.mark.parametrize("how", ["link", "pipe", "folder"])
def test_what_is_no_file_of_its_own_is_refused_and_never_waited_for(bundle, tmp_path, name, how):
    moved = (bundle / name).rename(tmp_path / name)
    if how == "link":
        (bundle / name).symlink_to(moved)
    elif how == "pipe":
        os.mkfifo(bundle / name)
    else:
        (bundle / name).mkdir()
    refused(bundle)


def test_nothing_is_written_before_a_bundle_is_found_sound(
    bundle, small_run, tmp_path, mmdiag_call
):
    (bundle / "card.md").write_text("changed")
    done = mmdiag_call(
        "score",
        "--bundle",
        bundle,
        "--cohort",
        small_run.cohort / "cohort.toml",
        "--workspace",
        tmp_path / "new",
        "--out",
        tmp_path / "p.parquet",
    )
    assert done.returncode == 2 and "card.md" in done.stderr
    assert not (tmp_path / "new").exists() and not (tmp_path / "p.parquet").exists()
