"""Embeddings: what another program made of an image, a slide or a text; one vector or a bag of
vectors a case.
"""

from mmdiag.kinds.kind import PARTS, Function, Kind

EMBEDDING = Kind(
    name="embedding",
    contract="embeddings",
    layout=PARTS,
    settings=None,
    drawn_as="embedding",
    keys={
        "encoder": Function("mmdiag.description.keys:provenance"),
        "revision": Function("mmdiag.description.keys:provenance"),
        "licence": Function("mmdiag.description.keys:provenance"),
        "key": Function("mmdiag.description.fields:optional_text"),
        "column": Function("mmdiag.description.fields:optional_text"),
    },
    check_keys=Function("mmdiag.description.keys:check_embedding"),
    read=Function("mmdiag.ingest.embeddings.read:read_embeddings"),
    columns=None,
    feature_version=None,
    extractor=Function("mmdiag.prepare.kinds.embedding:embedding_extractor"),
    weights=None,
    blocks=Function("mmdiag.prepare.kinds.embedding:embedding_blocks"),
    parts_of_features=None,
    summarise=Function("mmdiag.prepare.kinds.embedding:summarise_vectors"),
    fit=Function("mmdiag.prepare.kinds.embedding:fit_embedding"),
    encoder=Function("mmdiag.prepare.kinds.embedding:embedding_encoder"),
    pretraining=None,
    load_pretrained=None,
    search_space=None,
    explain=Function("mmdiag.explain.kinds.embedding:explain_embedding"),
)
