"""Why a file of variants is refused."""

from mmdiag.reasons.reason import Reason

OF_VARIANTS: dict[str, Reason] = {
    "vcf_header": Reason(
        "A VCF begins with ##fileformat=VCFv4.x, well-formed meta lines and the #CHROM line (VCF "
        "4.1 to 4.5, 1).",
        "Write the file again with a tool that follows the specification.",
    ),
    "vcf_record": Reason(
        "A record of a VCF has valid CHROM, POS, ID, REF, ALT, QUAL, FILTER, INFO and samples, "
        "as its header declares them (VCF 4.1 to 4.5, 1).",
        "Write the file again with a tool that follows the specification.",
    ),
    "vcf_order": Reason(
        "Records of a VCF are sorted by position, those of a chromosome stand together.",
        "Sort the file (`bcftools sort`).",
    ),
    "vcf_samples": Reason(
        "A VCF has one sample, or says which of several is the case's: by ##tumor_sample, by a "
        "SAMPLE line or a column that is called the tumour, or by the name of the file.",
        "Keep the case's sample alone (`bcftools view -s SAMPLE`).",
    ),
    "vcf_annotation": Reason(
        "The variant files of one modality are annotated alike: counts by gene and counts by "
        "kind are different things.",
        "Annotate all files with the same tool, or take the ones that differ out.",
    ),
}
