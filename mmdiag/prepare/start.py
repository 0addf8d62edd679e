"""At the start of a run: is every encoder there that its configuration names? Before anything is fitted, not in the middle."""

from collections.abc import Iterable, Mapping

from mmdiag.config import RANDOM, TFIDF, RunConfig
from mmdiag.encoders.weights import PACKAGED, Weights, find_weights
from mmdiag.errors import UsageError
from mmdiag.prepare.cohort import Preparation


def require_encoders(config: RunConfig, kinds: Iterable[str]) -> None:
    """Find the pretrained weights of every kind of a cohort; a hub is asked for them once, here.

    Args:
        kinds: The kinds of the cohort's modalities.

    Raises:
        UsageError: Weights are not there; it names what can be done.
    """
    for kind in set(kinds):
        _weights(config, kind)


def require_same_weights(config: RunConfig, preparations: Mapping[str, Preparation]) -> None:
    """Check that the weights that would make features here are those whose features a model was fitted on.

    An image network that was trained lies in the bundle itself; of a transformer that was trained, the tokenizer still comes from where it began.

    Args:
        preparations: Fitted state of each modality; its `source` says which weights they were.

    Raises:
        UsageError: Others lie under the same name, or none.
    """
    for name, preparation in preparations.items():
        recorded = preparation.source.get("sha256")
        if not recorded or (preparation.kind == "image" and preparation.reads_originals):
            continue
        found = _weights(config, preparation.kind)
        if found is not None and found.sha256 != recorded:
            raise UsageError(
                f"Features must be made by the weights that a model was fitted with, those of {name} were {preparation.source['source']} with the SHA-256 "
                f"{recorded[:12]}, and {found.source} now holds {found.sha256[:12]}: put the recorded ones back, or train again with these."
            )


def _weights(config: RunConfig, kind: str) -> Weights | None:
    """The pretrained weights that a kind's encoder is configured with; None where it has none."""
    if kind == "image" and config.image.weights not in ("", RANDOM):
        return find_weights(config.image.weights, "image encoder")
    if kind == "text" and config.text.encoder != TFIDF:
        return find_weights(config.text.encoder, "text encoder", packaged=PACKAGED)
    return None
