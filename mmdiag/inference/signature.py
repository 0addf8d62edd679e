"""A detached Ed25519 signature over a bundle's manifest, which names the hash of every file: who
made a bundle, not only that it is whole (RFC 8032).
"""

import base64
import binascii
import os
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from mmdiag.errors import BundleError, UsageError
from mmdiag.inference.manifest import is_regular, read_manifest
from mmdiag.workspace import write_text

SIGNATURE = "manifest.sig"
PRIVATE, PUBLIC = "private.pem", "public.pem"
LARGEST_KEY = 64 * 2**10  # bytes


def make_keys(folder: Path) -> tuple[Path, Path]:
    """Make a pair of keys in a folder: `private.pem`, readable by its owner alone, and
    `public.pem`.

    Raises:
        UsageError: There is a key already; nothing is overwritten.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    taken = [name for name in (PRIVATE, PUBLIC) if (folder / name).exists()]
    if taken:
        raise UsageError(
            f"Keys are never overwritten, {folder} has {' and '.join(taken)}: name another folder."
        )
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    _write_new(folder / PRIVATE, private, 0o600)
    _write_new(folder / PUBLIC, public, 0o644)
    return folder / PRIVATE, folder / PUBLIC


def sign(bundle: Path, private: Path) -> Path:
    """Sign a bundle; the signature lies beside its manifest and changes no other file.

    Raises:
        BundleError: The bundle was changed.
        UsageError: The file holds no private Ed25519 key.
    """
    manifest = read_manifest(bundle)
    try:
        key = serialization.load_pem_private_key(_read_key(private), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise UsageError(
            f"A bundle is signed with a private Ed25519 key in PEM, {private.name} holds none: "
            "make a pair with `mmdiag bundle keys --out DIR`."
        )
    target = bundle / SIGNATURE
    write_text(target, base64.b64encode(key.sign(manifest.text)).decode("ascii") + "\n")
    return target


def verify(bundle: Path, public: Path) -> str:
    """Check a bundle's files and its signature; returns its id.

    Raises:
        BundleError: The bundle was changed, is not signed, or was signed with another key.
        UsageError: The file holds no public Ed25519 key.
    """
    manifest = read_manifest(bundle)
    key = _public(public)
    if not is_regular(bundle / SIGNATURE):
        raise BundleError(
            f"A trusted bundle is signed, {bundle.name} is not: `mmdiag bundle sign` signs it, "
            "where its maker's private key is."
        )
    try:
        signature = base64.b64decode(
            (bundle / SIGNATURE).read_bytes()[:LARGEST_KEY], validate=False
        )
        key.verify(signature, manifest.text)
    except (InvalidSignature, binascii.Error):
        raise BundleError(
            f"A bundle's signature must be of the key that is trusted, that of {bundle.name} is "
            "not: it was changed since, or somebody else signed it."
        ) from None
    return manifest.id


def _public(file: Path) -> Ed25519PublicKey:
    try:
        key = serialization.load_pem_public_key(_read_key(file))
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise UsageError(
            f"A signature is verified with a public Ed25519 key in PEM, {file.name} holds none: "
            f"name the {PUBLIC} of the pair that the bundle was signed with."
        )
    return key


def _read_key(file: Path) -> bytes:
    if not file.is_file():
        raise UsageError(f"A key is a file, found none at {file}: check its path.")
    with file.open("rb") as opened:
        return opened.read(LARGEST_KEY)


def _write_new(target: Path, content: bytes, mode: int) -> None:
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as written:
        written.write(content)
        written.flush()
        os.fsync(written.fileno())
