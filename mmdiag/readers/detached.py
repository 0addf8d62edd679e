"""Headers that keep their numbers in another file, as NRRD, MetaImage and WFDB may. Which file that
is, and that it lies beside its header.
"""

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from mmdiag.errors import ReadError
from mmdiag.regular_files import open_regular

HEAD = 2**20  # bytes of a header
PLAIN = re.compile(r"(?!\.{1,2}$)[^/\\\0%]{1,255}")  # the name of a file, no path and no pattern
NAMED = {  # ending of a header -> how it names its data
    ".nrrd": re.compile(rb"^data ?file:[ \t]*(.+?)[ \t]*\r?$", re.MULTILINE),
    ".nhdr": re.compile(rb"^data ?file:[ \t]*(.+?)[ \t]*\r?$", re.MULTILINE),
    ".mha": re.compile(rb"^ElementDataFile[ \t]*=[ \t]*(.+?)[ \t]*\r?$", re.MULTILINE),
    ".mhd": re.compile(rb"^ElementDataFile[ \t]*=[ \t]*(.+?)[ \t]*\r?$", re.MULTILINE),
    ".hea": re.compile(rb"^([^\s#]+)[ \t]+\d+(?:x\d+)?(?::\d+)?(?:\+\d+)?[ \t]", re.MULTILINE),
}


def file_beside(header: Path, name: str) -> Path:
    """The file of data that a header names.

    Raises:
        ReadError: `outside_root` where it is no plain name in the folder of the header, links
            resolved; `missing_data` where it is not there.
    """
    if not PLAIN.fullmatch(name):
        raise ReadError(
            "outside_root", f"the data file that {header.name} names is no plain name in its folder"
        )
    file, folder = header.parent / name, header.parent.resolve()
    try:
        found = file.resolve(strict=True)
    except (OSError, RuntimeError):
        raise ReadError(
            "missing_data", f"the data file that {header.name} names is not beside it"
        ) from None
    if found.parent != folder:
        raise ReadError(
            "outside_root", f"the data file that {header.name} names is a link to another folder"
        )
    if not found.is_file():
        raise ReadError("not_a_file", f"the data file that {header.name} names is none")
    return file


def data_files(file: Path) -> tuple[Path, ...]:
    """The files of data that a header names and that lie beside it; none where it names none that
    may be read, or is no such header.
    """
    form = NAMED.get(os.path.splitext(file)[1].lower())  # noqa: PTH122  a tenth of Path.suffix
    if form is None:
        return ()
    try:
        with open_regular(file) as opened:
            head = opened.read(HEAD)
    except (ReadError, OSError):
        return ()
    found = dict[Path, None]()
    if file.suffix.lower() == ".hea":  # its first line names the record
        head = re.sub(rb"\A(?:\s*#[^\n]*\n|\s+)*[^\n]*", b"", head)
    for name in form.findall(head):
        try:
            found[file_beside(file, name.decode("utf-8", "surrogateescape"))] = None
        except ReadError:
            continue
    return tuple(one for one in found if one != file)


def without_data_files(files: Sequence[Path]) -> list[Path]:
    """Files without those that a header among them names, which are read with it."""
    named = set(all_data_files(files))
    return [file for file in files if file not in named]


def all_data_files(files: Iterable[Path]) -> list[Path]:
    """The data files of all headers among some files."""
    return [one for file in files for one in data_files(file)]
