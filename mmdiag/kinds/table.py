"""Tables of numbers: one for all cases, or one file a case; columns may be genes."""

from mmdiag.kinds.kind import ROW, Function, Kind

TABLE = Kind(
    name="table",
    contract="tables",
    layout=ROW,
    settings="table",
    drawn_as="table",
    keys={
        "key": Function("mmdiag.description.fields:optional_text"),
        "columns": Function("mmdiag.description.keys:texts"),
        "exclude": Function("mmdiag.description.keys:texts"),
        "rows": Function("mmdiag.description.keys:rows"),
        "genes": Function("mmdiag.description.keys:genes"),
        "gene_names": Function("mmdiag.description.fields:optional_text"),
        "gene_sets": Function("mmdiag.description.fields:optional_text"),
        "units": Function("mmdiag.description.keys:units"),
        "assay": Function("mmdiag.description.fields:optional_text"),
    },
    check_keys=Function("mmdiag.description.keys:check_table"),
    read=Function("mmdiag.ingest.read_tables:read_tables"),
    columns=Function("mmdiag.ingest.read_tables:whole_table"),
    feature_version=None,
    extractor=Function("mmdiag.prepare.kinds.table:table_extractor"),
    weights=None,
    summarise=None,
    fit=Function("mmdiag.prepare.kinds.table:fit_table"),
    encoder=Function("mmdiag.prepare.kinds.table:table_encoder"),
    pretraining=None,
    load_pretrained=None,
    search_space=Function("mmdiag.tuning.space:table_space"),
    explain=Function("mmdiag.explain.table:explain_table"),
)
