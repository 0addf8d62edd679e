"""A signature says who made a bundle: it holds for the key's pair alone, and for every byte."""

import json
import shutil
import stat

import pytest

from mmdiag.errors import BundleError, UsageError


@pytest.fixture
def bundle(small_run, tmp_path):
    folder = small_run.workspace.bundles / small_run.answer["bundle"]["id"]
    return shutil.copytree(folder, tmp_path / folder.name)


@pytest.fixture
def keys(tmp_path):
    from mmdiag.inference.signature import make_keys

    return {name: make_keys(tmp_path / name) for name in ("mine", "other")}


def test_a_signed_bundle_holds_for_its_own_key_alone_and_keeps_its_id(bundle, keys):
    from mmdiag.inference.bundle import Bundle
    from mmdiag.inference.signature import sign, verify

    with pytest.raises(BundleError, match="is not"):
        verify(bundle, keys["mine"][1])
    sign(bundle, keys["mine"][0])
    assert verify(bundle, keys["mine"][1]) == bundle.name == Bundle.load(bundle).id
    with pytest.raises(BundleError, match="somebody else"):
        verify(bundle, keys["other"][1])


@pytest.mark.parametrize("damage", ["", "AAAA", "not base64 at all", "\x00\xff"])
def test_a_damaged_signature_or_manifest_does_not_hold(bundle, keys, damage):
    from mmdiag.inference.signature import SIGNATURE, sign, verify

    sign(bundle, keys["mine"][0])
    good = (bundle / SIGNATURE).read_text()
    (bundle / SIGNATURE).write_text(damage)
    with pytest.raises(BundleError):
        verify(bundle, keys["mine"][1])
    (bundle / SIGNATURE).write_text(good)
    manifest = json.loads((bundle / "manifest.json").read_text())
    (bundle / "manifest.json").write_text(json.dumps(manifest | {"cohort": {}}))
    with pytest.raises(BundleError, match="changed since"):
        verify(bundle, keys["mine"][1])


def test_the_private_key_is_its_owners_alone_and_none_is_overwritten(keys, tmp_path):
    from mmdiag.inference.signature import make_keys

    private, public = keys["mine"]
    assert stat.S_IMODE(private.stat().st_mode) == 0o600 and public.read_text().startswith("-----")
    with pytest.raises(UsageError, match="never overwritten"):
        make_keys(tmp_path / "mine")


def test_a_key_that_is_none_is_said(bundle, keys, tmp_path):
    from mmdiag.inference.signature import sign, verify

    (tmp_path / "x.pem").write_text("no key")
    for private in (tmp_path / "x.pem", keys["mine"][1]):
        with pytest.raises(UsageError, match="private Ed25519"):
            sign(bundle, private)
    for public in (tmp_path / "x.pem", keys["mine"][0]):
        with pytest.raises(UsageError, match="public Ed25519"):
            verify(bundle, public)


def test_the_commands_sign_verify_and_trust(bundle, small_run, tmp_path, mmdiag_call):
    for name in ("mine", "other"):
        assert mmdiag_call("bundle", "keys", "--out", tmp_path / name).returncode == 0
    private, public = (tmp_path / "mine" / f"{which}.pem" for which in ("private", "public"))
    other = tmp_path / "other" / "public.pem"
    assert mmdiag_call("bundle", "sign", bundle, "--key", private).returncode == 0
    done = mmdiag_call("bundle", "verify", bundle, "--key", public, "--json")
    assert done.returncode == 0 and json.loads(done.stdout)["id"] == bundle.name
    done = mmdiag_call("bundle", "verify", bundle, "--key", other, "--json")
    assert done.returncode == 1 and json.loads(done.stdout)["ok"] is False
    ask = ("score", "--bundle", bundle, "--cohort", small_run.cohort / "cohort.toml")
    ask = (*ask, "--workspace", tmp_path / "w", "--out", tmp_path / "p.parquet")
    done = mmdiag_call(*ask, "--trust", other)
    assert done.returncode == 2 and not (tmp_path / "w").exists()
    assert mmdiag_call(*ask, "--trust", public).returncode in (0, 3)
