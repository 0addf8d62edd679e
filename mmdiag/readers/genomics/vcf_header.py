"""The header of a VCF: its version, what it declares, its samples; refused where it breaks the
specification.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from mmdiag.errors import ReadError
from mmdiag.readers.genomics.vcf_sample import NORMAL, TUMOUR, role_of
from mmdiag.readers.tables.keys import is_bad_key

COLUMNS = ("#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO")
VERSION = re.compile(r"##fileformat=VCFv4\.([0-5])")
META = re.compile(r"##([^=\s<>\"]+)=(.+)")
NUMBER = re.compile(r"[0-9]+|[ARG.]|L[ARG]|[PM]")
URL = re.compile(
    r"(https?|ftps?|file)://([0-9]{1,3}(\.[0-9]{1,3}){3}|[^/:\s]*[A-Za-z][^/:\s]*|(?=/))"
    r"(:[0-9]+)?(/\S*)?"
)
INFO_TYPES = ("Integer", "Float", "Flag", "Character", "String")
FORMAT_TYPES = ("Integer", "Float", "Character", "String")
ALT_PREFIXES = ("DEL", "INS", "DUP", "INV", "CNV", "BND")
PLAIN = re.compile(r"[\w.-]+")
_ROLES = {"tumor_sample": TUMOUR, "normal_sample": NORMAL}


class Declared(NamedTuple):
    """What a header declares of an INFO or FORMAT key."""

    number: str
    type: str


# Keys that the specification defines (1.6.1 and 1.6.2), from the version on; None = it leaves this
# open
RESERVED_INFO: dict[str, tuple[str | None, str | None, int]] = {
    "AA": ("1", "String", 0),
    "AC": ("A", "Integer", 0),
    "AD": ("R", "Integer", 3),
    "ADF": ("R", "Integer", 3),
    "ADR": ("R", "Integer", 3),
    "AF": ("A", "Float", 0),
    "AN": ("1", "Integer", 0),
    "BQ": ("1", "Float", 0),
    "CIGAR": ("A", "String", 0),
    "DB": ("0", "Flag", 0),
    "DP": ("1", "Integer", 0),
    "END": ("1", "Integer", 0),
    "H2": ("0", "Flag", 0),
    "H3": ("0", "Flag", 0),
    "MQ": ("1", None, 0),
    "MQ0": ("1", "Integer", 0),
    "NS": ("1", "Integer", 0),
    "SOMATIC": ("0", "Flag", 0),
    "VALIDATED": ("0", "Flag", 0),
    "1000G": ("0", "Flag", 0),
}
RESERVED_FORMAT: dict[str, tuple[str | None, str | None, int]] = {
    "AD": ("R", "Integer", 3),
    "ADF": ("R", "Integer", 3),
    "ADR": ("R", "Integer", 3),
    "DP": ("1", "Integer", 0),
    "EC": ("A", "Integer", 0),
    "FT": ("1", "String", 0),
    "GL": ("G", "Float", 0),
    "GP": ("G", "Float", 0),
    "GQ": ("1", None, 0),
    "GT": ("1", "String", 0),
    "HQ": ("2", "Integer", 0),
    "MQ": ("1", "Integer", 0),
    "PL": ("G", "Integer", 0),
    "PQ": ("1", "Integer", 0),
    "PS": ("1", "Integer", 0),
}
# and one that they gave up with 4.3
RESERVED_BEFORE_4_3: dict[str, tuple[str | None, str | None, int]] = {"GLE": (None, "String", 0)}
# What a contig may be called from 4.3 on (1.4.7)
CONTIG = re.compile(r"[0-9A-Za-z!#$%&+./:;?@^_|~-][0-9A-Za-z!#$%&*+./:;=?@^_|~-]*")


@dataclass(frozen=True, slots=True)
class Header:
    """What the header of a VCF says.

    Args:
        minor: The 3 of VCFv4.3.
        info: INFO key -> what it is.
        form: FORMAT key -> what it is.
        described: INFO key -> its description, which names the parts of ANN and CSQ.
        contigs: Contig -> its length in bases, where it says.
        samples: Names of the samples.
        width: Columns of a record.
        roles: Sample -> whether it says that this is the tumour's or the normal one.
    """

    minor: int
    info: dict[str, Declared]
    form: dict[str, Declared]
    described: dict[str, str]
    contigs: dict[str, int | None]
    samples: tuple[str, ...]
    width: int
    roles: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Found:
    minor: int
    info: dict[str, Declared] = field(default_factory=dict)
    form: dict[str, Declared] = field(default_factory=dict)
    described: dict[str, str] = field(default_factory=dict)
    contigs: dict[str, int | None] = field(default_factory=dict)
    roles: dict[str, str] = field(default_factory=dict)


def read_header_lines(lines: Sequence[str], name: str) -> Header:
    """Parse the lines of a header, the line of columns being the last.

    Raises:
        ReadError: `vcf_header`, with the line's number, or `bad_key` for a sample's name that could
            be a path or a template.

    Reference:
        The Variant Call Format Specification 4.1 to 4.5, 1.2 to 1.5.
    """
    version = VERSION.fullmatch(lines[0]) if lines else None
    if version is None:
        raise ReadError("vcf_header", f"{name} does not begin with ##fileformat=VCFv4.x")
    minor, found = int(version[1]), _Found(int(version[1]))
    for number, line in enumerate(lines[1:-1], start=2):
        wrong = _meta(line, found)
        if wrong:
            raise ReadError("vcf_header", f"line {number} of {name}: {wrong}")
    samples = _samples(lines[-1], name)
    info = {
        key: Declared(number or ".", kind or "String")
        for key, (number, kind, since) in RESERVED_INFO.items()
        if minor >= since and kind
    }
    form = {
        key: Declared(number or ".", kind or "String")
        for key, (number, kind, since) in _reserved_format(minor).items()
        if minor >= since and kind
    }
    width = len(lines[-1].split("\t"))
    return Header(
        minor,
        info | found.info,
        form | found.form,
        found.described,
        found.contigs,
        samples,
        width,
        found.roles,
    )


def _samples(line: str, name: str) -> tuple[str, ...]:
    columns = line.split("\t")
    if tuple(columns[:8]) != COLUMNS or (
        len(columns) > 8 and (columns[8] != "FORMAT" or len(columns) == 9)
    ):
        separated = " " in line and "\t" not in line
        raise ReadError(
            "delimiter" if separated else "vcf_header", f"{name} has no regular line of columns"
        )
    samples = columns[9:]
    if len(set(samples)) < len(samples) or not all(sample.strip() for sample in samples):
        raise ReadError("vcf_header", f"{name} names a sample twice or not at all")
    bad = sum(is_bad_key(sample) for sample in samples)
    if bad:
        raise ReadError("bad_key", f"{name} has {bad} names of samples that are not")
    return tuple(samples)


def _meta(line: str, found: _Found) -> str:
    """What is wrong with a meta line; empty = nothing."""
    parts = META.fullmatch(line)
    if parts is None:
        return "a meta line is ##key=value"
    key, value = parts.groups()
    if key in ("assembly", "pedigreeDB"):
        return "" if URL.fullmatch(value.removeprefix("<").removesuffix(">")) else "it holds a URL"
    if value.startswith("<") and key not in STRUCTURED:
        return "" if value.endswith(">") else "what is opened by < is closed by >"
    if key not in STRUCTURED:
        if key in _ROLES:  # as Mutect writes them
            found.roles[value] = _ROLES[key]
        return ""
    fields = structured(value)
    if fields is None:
        return "its parts are key=value, separated by commas, texts in quotes"
    if "ID" not in fields and (key != "PEDIGREE" or found.minor >= 3):
        return "it has an ID"
    return STRUCTURED_RULES[key](fields, found)


def structured(value: str) -> dict[str, str] | None:
    """The parts of `<ID=x,Description="y">`; quotes stay around a text. None = it is not of this
    form.
    """
    if not (value.startswith("<") and value.endswith(">")):
        return None
    fields: dict[str, str] = {}
    position, inner = 0, value[1:-1]
    while True:
        part = PART.match(inner, position)
        if part is None or part[1] in fields:
            return None
        fields[part[1]] = part[2]
        position = part.end()
        if position == len(inner):
            return fields
        if inner[position] != ",":
            return None
        position += 1


PART = re.compile(r'([^=,\s"<>]+)=("(?:[^"\\]|\\.)*"|\[[^\]]*\]|[^,"\[][^,]*|)(?=,|$)')


def _key_of(
    kinds: Iterable[str],
    reserved: dict[str, tuple[str | None, str | None, int]],
    fields: dict[str, str],
    minor: int,
) -> str:
    if list(fields)[:4] != ["ID", "Number", "Type", "Description"]:
        return "it has ID, Number, Type and Description, in this order"
    if not NUMBER.fullmatch(fields["Number"]) or fields["Type"] not in kinds:
        return "its Number and Type are among those that are defined"
    if not _quoted(fields["Description"]):
        return "its Description is in quotes"
    number, kind, since = reserved.get(fields["ID"], (None, None, 0))
    if minor >= since and (
        (number and fields["Number"] != number) or (kind and fields["Type"] != kind)
    ):
        return f"{fields['ID']} has the Number and Type that the specification gives it"
    return ""


def _info(fields: dict[str, str], found: _Found) -> str:
    wrong = _key_of(INFO_TYPES, RESERVED_INFO, fields, found.minor)
    if not wrong:
        found.info[fields["ID"]] = Declared(fields["Number"], fields["Type"])
        found.described[fields["ID"]] = fields["Description"].strip('"')
    return wrong


def _format(fields: dict[str, str], found: _Found) -> str:
    reserved = _reserved_format(found.minor)
    wrong = _key_of(FORMAT_TYPES, reserved, fields, found.minor)
    if (
        not wrong
        and fields["ID"] == "GQ"
        and fields["Type"] not in ("Integer", *(("Float",) if found.minor < 3 else ()))
    ):
        wrong = "GQ is a number"
    found.form[fields["ID"]] = Declared(fields.get("Number", "."), fields.get("Type", "String"))
    return wrong


def _reserved_format(minor: int) -> dict[str, tuple[str | None, str | None, int]]:
    return RESERVED_FORMAT | (RESERVED_BEFORE_4_3 if minor < 3 else {})


def _filter(fields: dict[str, str], _found: _Found) -> str:
    return "" if _quoted(fields.get("Description", "")) else "its Description is in quotes"


def _alt(fields: dict[str, str], _found: _Found) -> str:
    prefix, colon, _ = fields["ID"].partition(":")
    if re.search(r"[\s<>]", fields["ID"]) or (colon and prefix not in ALT_PREFIXES):
        return "its ID is a structural type (DEL, INS, DUP, INV, CNV) or a name"
    if "Number" in fields or "Type" in fields:
        return "it has no Number and no Type"
    return "" if _quoted(fields.get("Description", "")) else "its Description is in quotes"


def _contig(fields: dict[str, str], found: _Found) -> str:
    length = fields.get("length", "")
    if re.search(r"[\s<>]", fields["ID"]) or not fields["ID"] or (length and not length.isdigit()):
        return "its ID is a name and its length a number"
    if found.minor >= 3 and not CONTIG.fullmatch(fields["ID"]):
        return "its ID has no quotes, brackets or backslashes, and begins with neither * nor ="
    found.contigs[fields["ID"]] = int(length) if length else None
    return ""


def _sample(fields: dict[str, str], found: _Found) -> str:
    if not PLAIN.fullmatch(fields["ID"]):
        return "its ID is a name"
    if role := role_of(" ".join(fields.values())):
        found.roles.setdefault(fields["ID"], role)
    others = (value for key, value in fields.items() if key != "Description")
    return (
        "only its Description is in quotes"
        if found.minor < 3 and any(value.startswith('"') for value in others)
        else ""
    )


def _pedigree(fields: dict[str, str], _found: _Found) -> str:
    return "" if all(PLAIN.fullmatch(value) for value in fields.values()) else "its parts are names"


def _metadata(fields: dict[str, str], _found: _Found) -> str:
    number, kind, values = (
        fields.get("Number", "."),
        fields.get("Type", "String"),
        fields.get("Values", "[]"),
    )
    valid = (
        NUMBER.fullmatch(number)
        and kind in INFO_TYPES
        and values.startswith("[")
        and values.endswith("]")
    )
    return "" if valid else "its Number, Type and Values are of the form that is defined"


def _quoted(text: str) -> bool:
    return len(text) >= 2 and text.startswith('"') and text.endswith('"')


STRUCTURED_RULES = {
    "INFO": _info,
    "FORMAT": _format,
    "FILTER": _filter,
    "ALT": _alt,
    "contig": _contig,
    "SAMPLE": _sample,
    "PEDIGREE": _pedigree,
    "META": _metadata,
}
STRUCTURED = frozenset(STRUCTURED_RULES)
