"""What others made of which a model is made, a line a modality: pretrained weights and embeddings,
which, and on what terms.
"""

from collections.abc import Mapping
from typing import Any

from mmdiag.config import IMAGE_NETWORKS, TRANSFORMERS, RunConfig
from mmdiag.kinds import kind_named
from mmdiag.prepare import Preparation
from mmdiag.prepare.sources import made_by

NOT_STATED = "not stated"


def made_of(config: RunConfig, preparations: Mapping[str, Preparation]) -> list[dict[str, Any]]:
    """Each modality whose features others made: `modality`, `maker` and `licence`; of weights
    `encoder`, `revision` and `sha256`, too.
    """
    found = []
    for name, preparation in preparations.items():
        source, settings = preparation.source, kind_named(preparation.kind).settings
        if source.get("sha256") and settings is not None:
            encoder = getattr(config, settings).encoder
            own = encoder in (TRANSFORMERS, *IMAGE_NETWORKS)  # else a path, which may say too much
            words = (encoder if own else "", source.get("model", ""), source["source"])
            found.append(
                {
                    "modality": name,
                    "encoder": " ".join(word for word in words if word),
                    "revision": source.get("revision") or "none",
                    "sha256": source["sha256"],
                    "licence": source.get("licence") or NOT_STATED,
                }
            )
        elif made := made_by(source):
            found.append({"modality": name, "maker": made.maker, "licence": made.licence})
    return found


def lines_of(found: list[dict[str, Any]]) -> list[str]:
    """A line of Markdown for each."""
    return [
        f"- Encoder of {one['modality']}: {one['encoder']}, revision {one['revision']}, SHA-256 "
        f"{one['sha256'][:12]}, licence {one['licence']}."
        if "encoder" in one
        else f"- {one['modality']} is made by {one['maker']}, licence {one['licence']}."
        for one in found
    ]
