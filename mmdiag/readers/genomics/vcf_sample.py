"""Which of several samples of a VCF is the case's: its tumour, or the one that is called as the
file or its folder.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from mmdiag.errors import ReadError

TUMOUR, NORMAL = "tumour", "normal"
_TUMOURS: Final = frozenset({"tumor", "tumour"})
_NORMALS: Final = frozenset({"normal", "germline"})
_NEAR: Final = _NORMALS | {"non", "not", "no", "without", "adjacent", "matched"}


def role_of(words: str) -> str:
    """Whether words say that a sample is the tumour's or the normal one; empty where they do not,
    as of tissue beside the tumour.
    """
    found = set(re.findall(r"[^\W\d_]+", words.lower()))
    if found & _TUMOURS:
        return "" if found & (_NEAR - {"germline"}) else TUMOUR
    return NORMAL if found & _NORMALS else ""


def sample_of_case(file: Path, samples: Iterable[str], roles: Mapping[str, str]) -> str:
    """The sample whose variants are the case's: the tumour by the header, else by the columns'
    names, else the one that is called as the file or as its folder.

    Args:
        roles: Sample -> what the header says that it is.

    Raises:
        ReadError: `vcf_samples`, where nothing or more than one thing says which.
    """
    names = list(samples)
    if len(names) == 1:
        return names[0]
    called = (file.name.partition(".")[0], file.parent.name)
    for found in (
        _tumours({name: roles.get(name, "") for name in names}),
        _tumours({name: role_of(name) for name in names}),
        [name for name in names if name in called],
    ):
        if len(found) == 1:
            return found[0]
        if found:
            break
    raise ReadError("vcf_samples", f"{file.name} has {len(names)} and does not say which")


def _tumours(roles: Mapping[str, str]) -> list[str]:
    """The samples of tumours; beside one normal sample the only other one is."""
    found = [name for name, role in roles.items() if role == TUMOUR]
    if not found and len(roles) == 2 and NORMAL in roles.values():
        found = [name for name, role in roles.items() if role != NORMAL]
    return found
