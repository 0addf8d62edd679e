"""At the start of a run: is every encoder there that its configuration names? Before anything is
fitted, not in the middle.
"""

from collections.abc import Iterable, Mapping

from mmdiag.config import RunConfig
from mmdiag.encoders.weights import Weights
from mmdiag.errors import UsageError
from mmdiag.kinds import kind_named
from mmdiag.prepare.extract import feature_version
from mmdiag.prepare.preparation import Preparation


def require_encoders(config: RunConfig, kinds: Iterable[str]) -> None:
    """Find the pretrained weights of every kind of a cohort; a hub is asked for them once, here.

    Args:
        kinds: The kinds of the cohort's modalities.

    Raises:
        UsageError: Weights are not there; it names what can be done.
    """
    for kind in set(kinds):
        _weights(config, kind)


def require_same_features(config: RunConfig, preparations: Mapping[str, Preparation]) -> None:
    """Check that features would be made here as those were that a model was fitted on: by the same
    version of our code, and by the same weights.

    An image network that was trained lies in the bundle itself; of a transformer that was trained,
    the tokenizer still comes from where it began.

    Args:
        preparations: Fitted state of each modality; its `source` says which weights they were.

    Raises:
        UsageError: They would be made otherwise; other weights lie under the same name, or none.
    """
    for name, preparation in preparations.items():
        here = feature_version(preparation.kind, config)
        if preparation.feature_version != here:
            raise UsageError(
                f"Features must be made as those that a model was fitted on, those of {name} "
                f"were made by {preparation.feature_version or 'an earlier mmdiag'!r}, here they "
                f"are by {here!r}: train again, or score with the mmdiag that its manifest.json "
                "names."
            )
        recorded = preparation.source.get("sha256")
        if not recorded or (preparation.kind == "image" and preparation.trains_on_raw_input):
            continue
        found = _weights(config, preparation.kind)
        if found is not None:
            _require_same_weights(name, preparation.source, found)


def _require_same_weights(name: str, recorded: Mapping[str, str], found: Weights) -> None:
    if found.sha256 != recorded["sha256"]:
        raise UsageError(
            "Features must be made by the weights that a model was fitted with, those of "
            f"{name} were {recorded['source']} with the SHA-256 "
            f"{recorded['sha256'][:12]}, and {found.source} now holds {found.sha256[:12]}: put the "
            "recorded ones back, or train again with these."
        )
    if found.settings != recorded.get("settings", ""):
        raise UsageError(
            "Images must be prepared as those were that a model was fitted on, the files beside "
            f"the weights of {name} ({recorded['source']}) say otherwise now: put the recorded "
            "config.json and preprocessor_config.json back, or train again."
        )


def _weights(config: RunConfig, kind: str) -> Weights | None:
    """The pretrained weights that a kind's encoder is configured with; None where it has none."""
    find = kind_named(kind).weights
    found: Weights | None = find(config) if find else None
    return found
