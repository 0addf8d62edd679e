"""Images: DICOM series, NIfTI, PNG and JPEG, stored as slices."""

from mmdiag.kinds.kind import PARTS, Function, Kind

IMAGE = Kind(
    name="image",
    contract="images",
    layout=PARTS,
    settings="image",
    drawn_as="image",
    keys={
        "select": Function("mmdiag.description.keys:patterns"),
        "size": Function("mmdiag.description.keys:whole_number"),
        "slices": Function("mmdiag.description.keys:whole_number"),
        "window": Function("mmdiag.description.keys:window"),
        "burned_in": Function("mmdiag.description.keys:burned_in"),
        "colour": Function("mmdiag.description.keys:colour"),
    },
    check_keys=None,
    read=Function("mmdiag.ingest.read_images:read_images"),
    columns=None,
    feature_version=Function("mmdiag.prepare.kinds.image:image_version"),
    extractor=Function("mmdiag.prepare.kinds.image:image_extractor"),
    weights=Function("mmdiag.prepare.kinds.image:image_weights"),
    blocks=Function("mmdiag.prepare.kinds.image:image_blocks"),
    parts_of_features=Function("mmdiag.prepare.kinds.image:image_parts"),
    summarise=Function("mmdiag.prepare.kinds.image:summarise_slices"),
    fit=Function("mmdiag.prepare.kinds.image:fit_image"),
    encoder=Function("mmdiag.prepare.kinds.image:image_encoder"),
    pretraining=Function("mmdiag.pretraining.masked_images:masked_images"),
    load_pretrained=Function("mmdiag.prepare.kinds.image:load_pretrained_image"),
    search_space=Function("mmdiag.tuning.space:image_space"),
    explain=Function("mmdiag.explain.kinds.image:explain_image"),
)
