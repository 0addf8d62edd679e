"""The cohort.toml of a phantom, with comments that teach its form."""


def cohort_toml(name: str) -> str:
    """The description of a phantom."""
    return f'''# A synthetic cohort: a description to learn from, and to copy.
[cohort]
name = "{name}"
root = "."                           # all paths below are relative to this folder

[cases]                              # one row a case
table = "cases.csv"
case_id = "case_id"
subject_id = "subject_id"            # all cases of a person share one part of the split
as_of = "study_date"                 # nothing recorded later may be read
site = "site"
group = ["sex", "age_band"]          # for subgroup reports, never inputs of a model

[task]
kind = "binary"
title = "Progression within 24 months"   # how people read it, everywhere
label = "label"
positive = "1"
class_names = {{ "0" = "stable", "1" = "progresses" }}

[modalities.flair]                   # the name is used everywhere, from here to the dashboard
title = "FLAIR"                      # how people read it
kind = "image"
path = "dicom/{{case_id}}"             # a folder that mixes series; {{column}} of the case table
select = {{ SeriesDescription = "FLAIR" }}
size = 64                            # stored height and width in pixels
slices = 8

[modalities.report]
title = "Radiology report"
kind = "text"
path = "notes/{{case_id}}.txt"

[modalities.expression]
title = "Gene expression"
kind = "table"
path = "genomics.csv"                # one table for all cases ...
key = "case_id"                      # ... with this key
columns = "*_rna"
genes = "symbol"
gene_sets = "pathways.gmt"
'''
