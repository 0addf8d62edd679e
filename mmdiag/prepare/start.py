"""At the start of a run: is every encoder there that its configuration names? Before anything is fitted, not in the middle."""

from collections.abc import Iterable

from mmdiag.config import RANDOM, TFIDF, RunConfig
from mmdiag.encoders.weights import PACKAGED, find_weights


def require_encoders(config: RunConfig, kinds: Iterable[str]) -> None:
    """Find the pretrained weights of every kind of a cohort; a hub is asked for them once, here.

    Args:
        kinds: The kinds of the cohort's modalities.

    Raises:
        UsageError: Weights are not there; it names what can be done.
    """
    known = set(kinds)
    if "image" in known and config.image.weights not in ("", RANDOM):
        find_weights(config.image.weights, "image encoder")
    if "text" in known and config.text.encoder != TFIDF:
        find_weights(config.text.encoder, "text encoder", packaged=PACKAGED)
