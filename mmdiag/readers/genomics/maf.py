"""Reads Mutation Annotation Format: one row a mutation, counted as non-silent mutations of each
gene and case.
"""

from functools import lru_cache
from pathlib import Path

import pandas as pd

from mmdiag.errors import ReadError
from mmdiag.readers.genomics.damaged_names import is_damaged
from mmdiag.readers.tables.delimited import parse
from mmdiag.readers.tables.encoding import DelimitedText, read_delimited_text
from mmdiag.readers.tables.numbers import Said
from mmdiag.regular_files import open_regular

MAF = (".maf", ".maf.gz")
OTHERWISE_NAMED = (".txt", ".tsv", ".tab")
HEAD = 2**16  # bytes in which a header is looked for
GENE, CLASS, SAMPLE = "Hugo_Symbol", "Variant_Classification", "Tumor_Sample_Barcode"
START = ("Start_Position", "Start_position")  # GDC and TCGA spell it differently
PLACE = (
    "Chromosome",
    *START,
    "End_Position",
    "End_position",
    "Reference_Allele",
    "Tumor_Seq_Allele2",
)
NO_GENE = ("", ".", "unknown", "na", "none")
NON_SILENT = frozenset(
    (
        "Frame_Shift_Del",
        "Frame_Shift_Ins",
        "In_Frame_Del",
        "In_Frame_Ins",
        "Missense_Mutation",
        "Nonsense_Mutation",
        "Nonstop_Mutation",
        "Splice_Site",
        "Translation_Start_Site",
    )
)
NOT_COUNTED = frozenset(
    (
        "Silent",
        "Intron",
        "3'UTR",
        "5'UTR",
        "3'Flank",
        "5'Flank",
        "IGR",
        "RNA",
        "lincRNA",
        "Splice_Region",
        "Targeted_Region",
        "De_novo_Start_InFrame",
        "De_novo_Start_OutOfFrame",
        "Start_Codon_Del",
        "Start_Codon_Ins",
        "Start_Codon_SNP",
        "Stop_Codon_Del",
        "Stop_Codon_Ins",
    )
)


def is_maf(file: Path) -> bool:
    """Whether a file is a MAF: by its name, or a table parted by tabs whose header is that of one,
    as cBioPortal's `data_mutations.txt`.
    """
    name = file.name.lower()
    if not name.endswith(OTHERWISE_NAMED):
        return name.endswith(MAF)
    try:
        stat = file.stat()
        return _begins_as_maf(file, stat.st_mtime_ns, stat.st_size)
    except (OSError, ReadError):
        return False  # whoever reads it says why


@lru_cache(maxsize=64)
def _begins_as_maf(file: Path, modified_ns: int, size: int) -> bool:
    del modified_ns, size  # a changed file is looked at again
    with open_regular(file) as opened:
        lines = opened.read(HEAD).removeprefix(b"\xef\xbb\xbf").splitlines()
    header = next((line for line in lines if not line.startswith(b"#")), b"")
    return {GENE, CLASS, SAMPLE} <= set(header.decode("utf-8", "replace").split("\t"))


def read_maf(file: Path, key: str = SAMPLE, *, columns: list[str] | None = None) -> pd.DataFrame:
    """Rows of a MAF as text, the comments at its head left out.

    Raises:
        ReadError: It is not a regular MAF.

    Reference:
        GDC MAF format 1.0.0; MAF 2.4 of TCGA.
    """
    content, header = _body(file)
    wanted = list(dict.fromkeys([GENE, CLASS, key, *(columns or ())]))
    lacking = [name for name in wanted if name not in header]
    if lacking:
        raise ReadError("mutation_table", f"{file.name} lacks {', '.join(lacking)}")
    table = parse(DelimitedText(file.name, content, "\t", quoted=False), columns=wanted)
    return pd.DataFrame(table.to_pandas()).astype(object)


def maf_header(file: Path) -> tuple[str, ...]:
    """The columns of a MAF.

    Raises:
        ReadError: It is no text.
    """
    return _body(file)[1]


def _body(file: Path) -> tuple[bytes, tuple[str, ...]]:
    """A MAF without the comments at its head, and its columns."""
    content = read_delimited_text(file, separator="\t", check_delimiter=False).content
    while content.startswith(b"#"):
        content = content.partition(b"\n")[2]
    return content, tuple(content.partition(b"\n")[0].decode().rstrip("\r").split("\t"))


def count_mutations(file: Path, key: str = SAMPLE, said: Said | None = None) -> pd.DataFrame:
    """Non-silent mutations of each case and gene, float32; a case whose mutations are all silent
    has zeros, one that is not in the file has no row.

    A mutation of a case counts once, however many rows or aliquots list it: it is the same where
    gene, place and alleles are. Names that a spreadsheet damaged belong to no gene and are left
    out; `said` names them.

    Raises:
        ReadError: It is not a regular MAF, or has a variant class that is not known.
    """
    header = maf_header(file)
    place = [name for name in PLACE if name in header]
    rows = read_maf(file, key, columns=place)
    unknown = ~rows[CLASS].isin(NON_SILENT | NOT_COUNTED)
    if unknown.any():
        raise ReadError(
            "mutation_table",
            f"{file.name} has {int(unknown.sum())} rows of a variant class that is not known",
        )
    counted = rows[rows[CLASS].isin(NON_SILENT)]
    again = _listed_before(counted, key, place)
    nameless = counted[GENE].str.strip().str.lower().isin(NO_GENE)
    damaged = counted[GENE].map(is_damaged)
    if said is not None:
        said.equal_rows += int(again.sum())
        said.damaged += sorted(set(counted.loc[damaged, GENE]))
    counted = counted[~again & ~nameless & ~damaged]
    counts = pd.crosstab(counted[key], counted[GENE])
    return counts.reindex(index=list(dict.fromkeys(rows[key])), fill_value=0).astype("float32")


def _listed_before(rows: pd.DataFrame, key: str, place: list[str]) -> pd.Series:
    """Which mutations of a case are listed in an earlier row; none where the file does not say
    where they lie.
    """
    if "Chromosome" not in place or not set(START) & set(place):
        return pd.Series(False, index=rows.index)
    same = rows[[key, GENE, *place]]
    return same.assign(Chromosome=same["Chromosome"].str.removeprefix("chr")).duplicated()
