"""The card names the pretrained weights of each modality's encoder, and on what terms."""

import dataclasses

from vision_builders import write_tiny_vision_model


def test_each_pretrained_encoder_is_named_with_its_type_revision_and_licence(tmp_path):
    from mmdiag.config import ImageConfig
    from mmdiag.encoders.vision_model import vision_weights
    from mmdiag.experiment.card.made_of import lines_of, made_of
    from mmdiag.prepare import Preparation
    from mmdiag.recipes import default

    where = write_tiny_vision_model(tmp_path / "tiny")
    image = ImageConfig(encoder="transformers", weights=str(where))
    weights = vision_weights(str(where))
    note = {"source": "package words", "revision": "0.1.0", "sha256": "ab" * 32, "licence": "mit"}
    found = made_of(
        dataclasses.replace(default(), image=image),
        {
            "flair": Preparation(kind="image", source=weights.record()),
            "report": Preparation(kind="text", source=note),
            "expression": Preparation(kind="table"),
        },
    )
    lines = lines_of(found)
    assert lines == [
        "- Encoder of flair: transformers dinov2 folder tiny, revision none, SHA-256 "
        f"{weights.sha256[:12]}, licence not stated.",
        "- Encoder of report: package words, revision 0.1.0, SHA-256 abababababab, licence mit.",
    ]
    assert str(tmp_path) not in "".join(lines), "a path of the machine says too much"
