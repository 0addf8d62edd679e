"""How each kind of modality becomes tokens, and the names of encoders that users type."""

from dataclasses import dataclass

from mmdiag.errors import UnknownNameError, UsageError

STATISTICS = "statistics"
IMAGE_STATISTICS = (STATISTICS, "texture")
IMAGE_NETWORKS = (
    "resnet10",
    "resnet18",
    "densenet121",
    "vit",
    "swin",
    "efficientnet_lite0",
    "resnet10_3d",
    "densenet121_3d",
    "resnet50_3d",
    "segresencoder_3d",
)
TRANSFORMERS = "transformers"  # whatever vision model lies in the folder that is named as weights
IMAGE_ENCODERS = (*IMAGE_STATISTICS, *IMAGE_NETWORKS, TRANSFORMERS)
PATHWAYS = "pathways"
TABLE_ENCODERS = (PATHWAYS, "snn", "mlp")
FROZEN, FINE_TUNED, SCRATCH = TRAININGS = ("frozen", "fine_tuned", "scratch")
# weights that learned nothing: asked for by name, never what is left when others are missing
RANDOM = "random"
PACKAGED = "packaged"  # weights that an ordinary dependency carries
PACKAGED_NETWORKS = ("efficientnet_lite0",)  # that there are such weights of
TFIDF = "tfidf"
NOTE, SENTENCE = "note", "sentence"  # what a text encoder reads at once


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageConfig:
    """How an image becomes tokens, one a slice.

    Args:
        encoder: `statistics` (first-order statistics at several scales), `texture` (these and
            grey-level co-occurrence), or a MONAI network: `resnet10`,
            `resnet18`, `densenet121`, `vit`, `swin`, `efficientnet_lite0` on slices with attention
            pooling, `resnet10_3d`, `densenet121_3d`, `resnet50_3d` (of MedicalNet's form),
            `segresencoder_3d` (of CT-FM's) on the resampled stack, or `transformers`: the
            vision model that `weights` names, such as DINOv2 or SigLIP, always frozen.
        training: `frozen` (features are stored once), `fine_tuned` (from pretrained weights, with
            the fusion) or `scratch`. Statistics are always frozen.
        weights: Where a network that is not trained from scratch begins: a folder, a hub name
            `owner/name@<40 hex revision>`, `random`, or `packaged`, which `efficientnet_lite0`
            has (ImageNet) and begins with where nothing is named.
        components: Principal components kept of what is frozen, fitted on training subjects.
    """

    encoder: str = "statistics"
    training: str = FROZEN
    weights: str = ""
    components: int = 8

    def __post_init__(self) -> None:
        if self.encoder not in IMAGE_ENCODERS:
            raise UnknownNameError("The image encoder", self.encoder, IMAGE_ENCODERS)
        if self.training not in TRAININGS:
            raise UnknownNameError("The training of an image encoder", self.training, TRAININGS)
        if self.encoder in IMAGE_STATISTICS and (self.training != FROZEN or self.weights):
            raise UsageError(
                f"The image encoder {self.encoder!r} has nothing to train and no weights, found "
                f"training = {self.training!r}: leave both out."
            )
        if self.weights == PACKAGED and self.encoder not in PACKAGED_NETWORKS:
            raise UsageError(
                f"Packaged weights are there of {', '.join(PACKAGED_NETWORKS)}, found the image "
                f"encoder {self.encoder!r}: name its weights, or this encoder."
            )
        named = self.weights not in ("", RANDOM)
        if self.encoder == TRANSFORMERS and (self.training != FROZEN or not named):
            raise UsageError(
                f"The image encoder {TRANSFORMERS!r} is frozen and has weights, found training = "
                f"{self.training!r} and weights = {self.weights!r}: set image.weights to a folder "
                "that save_pretrained wrote, or to owner/name@revision, and leave training out."
            )
        begins = bool(self.begins_with)
        if self.encoder in IMAGE_NETWORKS and begins == (self.training == SCRATCH):
            raise UsageError(
                f"An image network is trained from {SCRATCH!r} or begins with weights, "
                f"{self.encoder!r} is {self.training!r} and "
                f"{'has some' if begins else 'has none'}: name a folder, "
                f"owner/name@revision or {RANDOM!r} as weights, or set training = {SCRATCH!r} "
                "alone."
            )

    @property
    def begins_with(self) -> str:
        """The weights that are named, or those that come with the network; empty = none."""
        packaged = self.encoder in PACKAGED_NETWORKS and self.training != SCRATCH
        return self.weights or (PACKAGED if packaged else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class TextConfig:
    """How a note becomes tokens, one a sentence, or one in all.

    Args:
        encoder: `minilm-l6` (carried by a package), a folder with a transformers model, a hub name
            `owner/name@<40 hex revision>`, or `tfidf`
            (weighted words on principal directions, fitted on training subjects).
        training: `frozen` (features are stored once) or `fine_tuned` (with the fusion).
        max_sentences: Tokens of a note; the sentences of a longer one are joined with their
            neighbours.
        components: Principal components kept of what is frozen, fitted on training subjects.
        unit: What a frozen transformer reads at once: a `sentence`, or the whole `note`, of which a
            longer one than it takes is read in pieces of its own length.
    """

    encoder: str = "minilm-l6"
    training: str = FROZEN
    max_sentences: int = 128
    components: int = 16
    unit: str = SENTENCE

    def __post_init__(self) -> None:
        if self.unit not in (SENTENCE, NOTE):
            raise UnknownNameError("The unit of a text encoder", self.unit, (SENTENCE, NOTE))
        if self.unit == NOTE and (self.training != FROZEN or self.encoder == TFIDF):
            raise UsageError(
                "Whole notes are read by a frozen transformer, found the text encoder "
                f"{self.encoder!r}, {self.training}: set text.unit to {SENTENCE!r}, or name a "
                "transformer and leave it frozen."
            )
        if self.training not in (FROZEN, FINE_TUNED):
            raise UnknownNameError(
                "The training of a text encoder", self.training, (FROZEN, FINE_TUNED)
            )
        if self.encoder == TFIDF and self.training != FROZEN:
            raise UsageError(
                f"The text encoder {TFIDF!r} has nothing to fine-tune, found training = "
                f"{self.training!r}: leave it out."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class TableConfig:
    """How a table row becomes tokens.

    Args:
        encoder: `pathways` (a linear branch over all columns, and one token a pathway, or a module
            found on training cases), `snn` (a self-normalising
            network over all columns) or `mlp` (a plain one).
        components: Principal components of the linear branch.
        modules: Number of modules found when the cohort names no gene sets; also the most gene sets
            kept.
        hidden: Width of the two hidden layers of `snn` and `mlp`.
    """

    encoder: str = "pathways"
    components: int = 8
    modules: int = 16
    hidden: int = 64

    def __post_init__(self) -> None:
        if self.encoder not in TABLE_ENCODERS:
            raise UnknownNameError("The table encoder", self.encoder, TABLE_ENCODERS)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalConfig:
    """How a signal becomes tokens, one a window of time; its encoder is trained from scratch.

    Args:
        channels: Width of the dilated convolutions.
        layers: Their number; each looks twice as far back as the one before, so that 8 see 256
            samples.
        window: Samples of a token.
    """

    channels: int = 24
    layers: int = 8
    window: int = 125

    def __post_init__(self) -> None:
        for name, most in (("channels", 1024), ("layers", 16), ("window", 100_000)):
            if not 1 <= getattr(self, name) <= most:
                raise UsageError(
                    f"{name} of a signal's encoder must be from 1 to {most}, found "
                    f"{getattr(self, name)}: change it in the recipe."
                )
