"""Reads Mutation Annotation Format: one row a mutation, counted as non-silent mutations of each
gene and case.
"""

from pathlib import Path

import pandas as pd

from mmdiag.errors import ReadError
from mmdiag.readers.tables.delimited import parse
from mmdiag.readers.tables.encoding import DelimitedText, read_delimited_text

MAF = (".maf", ".maf.gz")
GENE, CLASS, SAMPLE = "Hugo_Symbol", "Variant_Classification", "Tumor_Sample_Barcode"
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
    """Whether a file is a MAF, by its name."""
    return file.name.lower().endswith(MAF)


def read_maf(file: Path, key: str = SAMPLE, *, columns: list[str] | None = None) -> pd.DataFrame:
    """Rows of a MAF as text, the comments at its head left out.

    Raises:
        ReadError: It is not a regular MAF.

    Reference:
        GDC MAF format 1.0.0; MAF 2.4 of TCGA.
    """
    text = read_delimited_text(file, separator="\t", check_delimiter=False)
    content = text.content
    while content.startswith(b"#"):
        content = content.partition(b"\n")[2]
    wanted = list(dict.fromkeys([GENE, CLASS, key, *(columns or ())]))
    header = content.partition(b"\n")[0].decode().rstrip("\r").split("\t")
    lacking = [name for name in wanted if name not in header]
    if lacking:
        raise ReadError("mutation_table", f"{file.name} lacks {', '.join(lacking)}")
    table = parse(DelimitedText(file.name, content, "\t", quoted=False), columns=wanted)
    return pd.DataFrame(table.to_pandas()).astype(object)


def count_mutations(file: Path, key: str = SAMPLE) -> pd.DataFrame:
    """Non-silent mutations of each case and gene, float32; a case whose mutations are all silent
    has zeros, one that is not in the file has no row.

    Raises:
        ReadError: It is not a regular MAF, or has a variant class that is not known.
    """
    rows = read_maf(file, key)
    unknown = ~rows[CLASS].isin(NON_SILENT | NOT_COUNTED)
    if unknown.any():
        raise ReadError(
            "mutation_table",
            f"{file.name} has {int(unknown.sum())} rows of a variant class that is not known",
        )
    counted = rows[rows[CLASS].isin(NON_SILENT)]
    counts = pd.crosstab(counted[key], counted[GENE])
    return counts.reindex(index=list(dict.fromkeys(rows[key])), fill_value=0).astype("float32")
