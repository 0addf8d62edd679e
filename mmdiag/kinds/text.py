"""Notes: text, PDF, RTF, Word, CDA, FHIR, or a column of a table; masked before they are stored."""

from mmdiag.kinds.kind import NOTE, Function, Kind

TEXT = Kind(
    name="text",
    contract="notes",
    layout=NOTE,
    settings="text",
    drawn_as="text",
    keys={
        "key": Function("mmdiag.description.fields:optional_text"),
        "column": Function("mmdiag.description.fields:optional_text"),
        "rows": Function("mmdiag.description.keys:rows"),
        "sheet": Function("mmdiag.description.keys:sheet"),
        "delimiter": Function("mmdiag.description.keys:delimiter"),
    },
    check_keys=Function("mmdiag.description.keys:check_text"),
    read=Function("mmdiag.ingest.read_notes:read_notes"),
    columns=None,
    feature_version=Function("mmdiag.prepare.kinds.text:text_version"),
    extractor=Function("mmdiag.prepare.kinds.text:text_extractor"),
    weights=Function("mmdiag.prepare.kinds.text:text_weights"),
    blocks=Function("mmdiag.prepare.kinds.text:text_blocks"),
    parts_of_features=None,
    summarise=Function("mmdiag.prepare.kinds.text:summarise_sentences"),
    fit=Function("mmdiag.prepare.kinds.text:fit_text"),
    encoder=Function("mmdiag.prepare.kinds.text:text_encoder"),
    pretraining=Function("mmdiag.pretraining.masked_language:masked_notes"),
    load_pretrained=Function("mmdiag.prepare.kinds.text:load_pretrained_text"),
    search_space=Function("mmdiag.tuning.space:text_space"),
    explain=Function("mmdiag.explain.kinds.text:explain_text"),
)
