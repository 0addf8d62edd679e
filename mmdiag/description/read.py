"""Reads a cohort.toml; nothing is written before the description is right."""

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmdiag.description.cohort import Description
from mmdiag.description.fields import (
    one_of,
    optional_text,
    plain_name,
    require_known,
    section_of,
    text_of,
    texts_of,
)
from mmdiag.description.keys import sheet_of
from mmdiag.description.modality import read_modalities
from mmdiag.description.paths import file_below, read_also_read
from mmdiag.description.task import read_task
from mmdiag.errors import DescriptionError, ReadError
from mmdiag.regular_files import read_regular

NESTED = 100  # dots of one key
SECTIONS: dict[str, tuple[str, ...]] = {
    "cohort": ("name", "root", "also_read", "weights_licence"),
    "cases": (
        "table",
        "sheet",
        "case_id",
        "subject_id",
        "as_of",
        "site",
        "keep_together",
        "group",
        "identifiers",
        "incomplete",
    ),
    "task": (
        "kind",
        "title",
        "label",
        "labels",
        "positive",
        "negative",
        "unknown",
        "class_names",
        "horizon",
        "threshold",
        "time",
        "event",
        "label_patterns",
    ),
}


def read_description(path: Path) -> Description:
    """Read and check a cohort.toml.

    Raises:
        DescriptionError: It is not there, not TOML, or says something that is not known.
    """
    path = Path(path)
    where = path.name
    raw = _parse(path)
    require_known(raw, (*SECTIONS, "modalities"), "A section", where)
    for section, keys in SECTIONS.items():
        require_known(section_of(raw, section, where), keys, f"A key of [{section}]", where)
    cohort, cases, task = (section_of(raw, section, where) for section in SECTIONS)
    root = _root(path, cohort)
    also_read = read_also_read(cohort, path)
    named = text_of(cases, "table", "[cases]", where)
    table = file_below(root, named, "table under [cases]", where)
    case_id = text_of(cases, "case_id", "[cases]", where)
    for name in texts_of(cases.get("identifiers", ()), "identifiers", "[cases]", where):
        if name.endswith(".csv"):
            file_below(root, name, "identifiers under [cases]", where)
    found = Description(
        name=plain_name(text_of(cohort, "name", "[cohort]", where), where),
        root=root,
        file=path.resolve(),
        also_read=also_read,
        weights_licence=_licences(cohort, where),
        table=table,
        sheet=sheet_of(cases, table.name, "[cases]", where),
        case_id=case_id,
        subject_id=text_of(cases, "subject_id", "[cases]", where, default=case_id),
        as_of=optional_text(cases, "as_of", "[cases]", where),
        site=optional_text(cases, "site", "[cases]", where),
        keep_together=texts_of(cases.get("keep_together", ()), "keep_together", "[cases]", where),
        group=texts_of(cases.get("group", ()), "group", "[cases]", where),
        identifiers=texts_of(cases.get("identifiers", ()), "identifiers", "[cases]", where),
        incomplete=one_of(
            cases.get("incomplete", "keep"), ("keep", "refuse"), "incomplete under [cases]", where
        ),
        task=read_task(task, where),
        modalities=read_modalities(raw, root, where, also_read),
    )
    _require_licences(found)
    return found


def _licences(cohort: Mapping[str, Any], where: str) -> tuple[str, ...]:
    """Licences that are allowed; an empty list would allow nothing, or all."""
    value = cohort.get("weights_licence")
    licences = () if value is None else texts_of(value, "weights_licence", "[cohort]", where)
    if value is not None and not (licences and all(one.strip() for one in licences)):
        raise DescriptionError(
            f"weights_licence under [cohort] of {where} must name licences, it names none: write "
            'weights_licence = ["MIT", "Apache-2.0"], or take it out to allow any.'
        )
    return tuple(one.strip() for one in licences)


def _require_licences(description: Description) -> None:
    """What another program made for this cohort is under terms that it allows."""
    for modality in description.modalities.values():
        licence = modality.options.get("licence")
        if licence is not None and not description.allows(str(licence)):
            raise DescriptionError(
                "Embeddings have one of the licences of weights_licence "
                f"({', '.join(description.weights_licence)}), [modalities.{modality.name}] of "
                f"{description.file.name} is made by {modality.options.get('encoder')} under "
                f"{licence}: use another encoder, or add that licence under [cohort] where its "
                "terms allow this use."
            )


def _dots(line: str) -> int:
    """Levels of the dotted keys of a line, at most; the fractions of a list of numbers are none."""
    bare = re.sub(r"\"(?:[^\"\\]|\\.)*\"|'[^']*'|#.*", "x", line)
    return max(part.count(".") for part in re.split(r"[^\w\-. \t]+", bare))


def _root(path: Path, cohort: Mapping[str, Any]) -> Path:
    """The folder that all paths are relative to."""
    named = text_of(cohort, "root", "[cohort]", path.name, default=".")
    root = (path.parent / os.path.expandvars(named)).resolve()
    if not root.is_dir():
        raise DescriptionError(
            f"The root of a cohort must be a folder, {cohort.get('root')!r} in {path.name} is "
            "not: correct root under [cohort]."
        )
    return root


def _parse(path: Path) -> dict[str, Any]:
    try:
        text = read_regular(path).decode("utf-8").replace("\r\n", "\n")
        if max(map(_dots, text.splitlines()), default=0) > NESTED:  # costs the parser all memory
            raise RecursionError
        return tomllib.loads(text)
    except FileNotFoundError:
        raise DescriptionError(
            f"A cohort is described by a cohort.toml, {path} is not there: `mmdiag init DIR` "
            "writes one."
        ) from None
    except ReadError as refusal:
        raise DescriptionError(
            f"A cohort is described by a regular file, {refusal.detail} ({refusal.code}): name the "
            "cohort.toml itself."
        ) from None
    except PermissionError:
        raise DescriptionError(
            f"A cohort is described by a file that may be read, {path} may not: see to its "
            "permissions, and to those of its folder."
        ) from None
    except UnicodeDecodeError:
        raise DescriptionError(
            f"{path.name} must be a text file in UTF-8, it is not: save it again as UTF-8."
        ) from None
    except RecursionError:
        raise DescriptionError(
            f"{path.name} must be nested a few levels deep, it is nested hundreds deep: compare it "
            "with what `mmdiag init` writes."
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise DescriptionError(
            f"{path.name} must be TOML, it is not: {error}. Compare it with what `mmdiag init` "
            "writes."
        ) from None
