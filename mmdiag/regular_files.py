"""Files are files: what is no regular file is told by its kind, and never opened to wait for what
is behind it. And what of a file's name may be shown: people are found in names of files, too.
"""

import os
import re
import stat
from collections.abc import Sequence
from io import BufferedReader
from pathlib import Path

from mmdiag.errors import ReadError

NOT_A_FILE = "not_a_file"
# a device may act on being opened, and a pipe waits until somebody writes to it
KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
# words of scanners, exports and endings, a counter with them or alone; a longer number that does
# not begin with 00 may be a person's
WORDS = (
    "adc|angio|ax|axial|b|bmp|cbct|contrast|cor|coronal|cr|csv|ct|cta|data|dce|dcm|dicom|dicomdir|"
    "docx?|dti|dwi|dx|ecg|edf|eeg|epi|export|f|file|fl|flair|flow|frame|fundus|gd|gz|h5ad|hea|html?|"
    "i|image|images|img|im|jpe?g|json|l|lab|labs|lao|lat|left|loc|localizer|m|ma|maf|mammo|mg|"
    "mip|mr|mra|mri|nii|nm|npy|npz|oct|odt|p|pa|page|parquet|pd|pdf|perf|pet|png|post|pre|proton|pt|"
    "r|rao|raw|rec|report|rf|right|rna|rtf|s|sag|sagittal|scan|scout|se|seg|ser|series|signal|sl|"
    "slice|std|stir|study|swi|t|t1|t1c|t1ce|t1gd|t1w|t2|t2f|t2w|table|tar|tif|tiff|tof|tsv|txt|us|v|"
    "variants|vcf|vol|volume|wav|x|xa|xlsx?|xml|xr|z|zip|mgh|mgz|mha|mhd|nrrd|nhdr|bdf"
)
PLAIN_PART = re.compile(rf"(?:{WORDS})?(?:00\d{{1,8}}|\d{{1,4}})?", re.IGNORECASE)
DATE = re.compile(r"(?:19|20)\d\d\D?\d\d?|\d\d?\D\d\d?\D(?:19|20)?\d\d(?!\d)")
ENDING = re.compile(rf"\.(?:{WORDS})", re.IGNORECASE)
OPENED = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY


def other_kind(mode: int) -> str:
    """What lies there instead of a regular file, by its mode; empty where it is one."""
    if stat.S_ISREG(mode):
        return ""
    return next((kind for is_kind, kind in KINDS if is_kind(mode)), "something else")


def require_regular(path: Path) -> None:
    """Refuse what is no regular file, links resolved; nothing is opened.

    Raises:
        ReadError: `not_a_file`.
        OSError: It is not there, or may not be looked at.
    """
    _refuse(other_kind(path.stat().st_mode), path)


def open_regular(path: Path) -> BufferedReader:
    """Open a regular file for its bytes.

    Raises:
        ReadError: `not_a_file`, also where it was one when it was looked at and is none any more.
        OSError: As `open`.
    """
    require_regular(path)
    descriptor = os.open(path, OPENED)
    try:
        _refuse(other_kind(os.fstat(descriptor).st_mode), path)
    except BaseException:
        os.close(descriptor)
        raise
    return os.fdopen(descriptor, "rb")


def read_regular(path: Path) -> bytes:
    """The bytes of a regular file. Raises as `open_regular`."""
    with open_regular(path) as opened:
        return opened.read()


def file_shown(path: Path, known: Sequence[str] = ()) -> str:
    """A file's name where it can be nobody's, else its ending alone.

    Args:
        known: What a case's files may be called after: its key, and the words of its path in
            cohort.toml.
    """
    stem = path.name
    for text in sorted(filter(None, known), key=len, reverse=True):
        stem = stem.replace(text, "-")
    rest = [part for part in re.split(r"[^\w]|_", stem) if part]
    if not DATE.search(stem) and all(PLAIN_PART.fullmatch(part) for part in rest):
        return path.name
    ending = "".join(part for part in path.suffixes[-2:] if ENDING.fullmatch(part))
    return f"a file ({ending})" if ending else "a file"


def without_file_names(text: str, files: Sequence[Path], known: Sequence[str] = ()) -> str:
    """A text about some files, in which each is named as it may be shown, or by its number."""
    for number, file in sorted(enumerate(files, 1), key=lambda item: -len(item[1].name)):
        shown = file_shown(file, known)
        if shown != file.name and file.name in text:
            which = f"file {number} of {len(files)}" if len(files) > 1 else "its file"
            named = shown.replace("a file", which, 1)
            text = re.sub(rf"(?<!\w){re.escape(file.name)}(?!\w)", named, text)
    return text


def _refuse(kind: str, path: Path) -> None:
    if kind:
        raise ReadError(NOT_A_FILE, f"{path.name} is {kind}")
