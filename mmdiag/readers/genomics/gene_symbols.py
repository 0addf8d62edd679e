"""Gene names brought to approved symbols by HGNC's own table; what is ambiguous or unknown keeps
its name and is reported, nothing is guessed.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from mmdiag.errors import DescriptionError
from mmdiag.readers.genomics.damaged_names import is_damaged
from mmdiag.readers.tables.delimited import as_description_error, parse
from mmdiag.readers.tables.encoding import read_delimited_text

KINDS = ("symbol", "ensembl", "entrez")
COLUMNS = ("symbol", "prev_symbol", "alias_symbol", "ensembl_gene_id", "entrez_id")


@dataclass(frozen=True, slots=True)
class GeneNames:
    """HGNC's table, by name.

    Args:
        symbols: Approved symbols.
        previous: Previous symbol -> the approved symbols that it was.
        alias: Alias -> the approved symbols that have it.
        ensembl: Ensembl gene identifier -> approved symbols.
        entrez: Entrez (NCBI) gene identifier -> approved symbols.
    """

    symbols: frozenset[str]
    previous: Mapping[str, frozenset[str]]
    alias: Mapping[str, frozenset[str]]
    ensembl: Mapping[str, frozenset[str]]
    entrez: Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class Approval:
    """What became of some names.

    Args:
        names: For each name that was given, the approved symbol, or the name itself.
        renamed: Name -> approved symbol, where they differ.
        previous: Names that were previous symbols.
        alias: Names that were aliases.
        ambiguous: Name -> the approved symbols that it may mean; it keeps its name.
        unknown: Names that the table does not have; they keep their name.
        collisions: Approved symbol -> the names that all mean it; where one of them is the symbol
            it stays that, all others keep their names.
        damaged: Names that a spreadsheet turned into a date or a number; they are unknown too.
        versions_dropped: How many Ensembl identifiers had a version.
    """

    names: tuple[str, ...]
    renamed: Mapping[str, str]
    previous: tuple[str, ...]
    alias: tuple[str, ...]
    ambiguous: Mapping[str, tuple[str, ...]]
    unknown: tuple[str, ...]
    collisions: Mapping[str, tuple[str, ...]]
    damaged: tuple[str, ...]
    versions_dropped: int

    def report(self) -> dict[str, object]:
        """Counts, and the lists behind them, fit for JSON."""
        lists = {key: value for key, value in asdict(self).items() if key != "names"}
        counts = {
            key: len(value) for key, value in lists.items() if key not in ("versions_dropped",)
        }
        approved = len(self.names) - len(self.unknown) - len(self.ambiguous) - self._kept()
        return {"names": len(self.names), "approved": approved, "counts": counts, **lists}

    def _kept(self) -> int:
        return sum(len(names) - (symbol in names) for symbol, names in self.collisions.items())


@dataclass(slots=True)
class _Notes:
    previous: list[str] = field(default_factory=list)
    alias: list[str] = field(default_factory=list)
    ambiguous: dict[str, tuple[str, ...]] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    versions: int = 0


def read_hgnc(file: Path) -> GeneNames:
    """Read HGNC's complete set, plain or gzip: tab-separated, several values in one cell separated
    by `|`.

    Raises:
        DescriptionError: It is not that table.

    Reference:
        HUGO Gene Nomenclature Committee, genenames.org, hgnc_complete_set.txt.
    """
    with as_description_error():
        text = read_delimited_text(file, separator="\t", check_delimiter=False)
        header = text.content.partition(b"\n")[0].decode().rstrip("\r").split("\t")
        lacking = [column for column in COLUMNS if column not in header]
        if lacking:
            raise DescriptionError(
                f"gene_names must be HGNC's complete set, {file.name} has no column "
                f"{lacking[0]}: download it from genenames.org as text."
            )
        table = parse(text, columns=list(COLUMNS)).to_pydict()
    symbols = table["symbol"]
    rest = {column: _inverse(symbols, table[column]) for column in COLUMNS[1:]}
    return GeneNames(
        frozenset(symbols),
        rest["prev_symbol"],
        rest["alias_symbol"],
        rest["ensembl_gene_id"],
        rest["entrez_id"],
    )


def approve(names: Sequence[str], kind: str, genes: GeneNames) -> Approval:
    """Bring names to approved symbols.

    An approved symbol stays; a previous symbol or an alias is replaced where it leads to one gene
    only, both kinds taken together. Two names that lead to
    one symbol are not merged.

    Args:
        kind: `symbol`, `ensembl` (a version such as `.12` is dropped) or `entrez`.
    """
    notes = _Notes()
    meant = [_meant(name, kind, genes, notes) for name in names]
    counts = Counter(symbol for symbol in meant if symbol is not None)
    collisions: dict[str, tuple[str, ...]] = {}
    for symbol in (symbol for symbol, count in counts.items() if count > 1):
        collisions[symbol] = tuple(
            name for name, other in zip(names, meant, strict=True) if other == symbol
        )
    final = tuple(
        name if symbol is None or (symbol in collisions and name != symbol) else symbol
        for name, symbol in zip(names, meant, strict=True)
    )
    renamed = {name: symbol for name, symbol in zip(names, final, strict=True) if name != symbol}
    return Approval(
        final,
        renamed,
        tuple(notes.previous),
        tuple(notes.alias),
        notes.ambiguous,
        tuple(notes.unknown),
        collisions,
        tuple(notes.damaged),
        notes.versions,
    )


def _meant(name: str, kind: str, genes: GeneNames, notes: _Notes) -> str | None:
    """The symbol that a name means; None = none, or several."""
    if kind == "symbol":
        if name in genes.symbols:
            return name
        previous, alias = genes.previous.get(name, frozenset()), genes.alias.get(name, frozenset())
        found = previous | alias
        if len(found) == 1:
            (notes.previous if previous else notes.alias).append(name)
    else:
        bare = name.partition(".")[0] if kind == "ensembl" else name
        notes.versions += bare != name
        found = (genes.ensembl if kind == "ensembl" else genes.entrez).get(bare, frozenset())
    if len(found) > 1:
        notes.ambiguous[name] = tuple(sorted(found))
    elif not found:
        notes.unknown.append(name)
        if is_damaged(name, serial=kind == "symbol"):
            notes.damaged.append(name)
    return next(iter(found)) if len(found) == 1 else None


def _inverse(symbols: Iterable[str], cells: Iterable[str]) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for symbol, cell in zip(symbols, cells, strict=True):
        for name in cell.strip('"').split("|") if cell else ():
            found.setdefault(name, set()).add(symbol)
    return {name: frozenset(meant) for name, meant in found.items()}
