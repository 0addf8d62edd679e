"""Every preparation's kind, its configuration, and the originals of a few cases."""

import numpy as np


def make_config():
    from mmdiag.config import RunConfig

    return RunConfig(fusion="concat")


NOTES = [
    "No marked oedema. Mass effect is seen.",
    "Clear lobe. Midline shift.",
    "Marked oedema with shift.",
    "No shift. Clear.",
    "Mass in the left lobe.",
]
RANDOM = {"training": "frozen", "weights": "random"}
CASES, TRAIN = 8, 6
VARIANTS = {  # kind, and what the configuration says of it
    "statistics": ("image", {}),
    "texture": ("image", {"encoder": "texture"}),
    "frozen network": ("image", {"encoder": "resnet10", **RANDOM}),
    "frozen volume": ("image", {"encoder": "resnet10_3d", **RANDOM}),
    "network": ("image", {"encoder": "resnet10", "training": "scratch"}),
    "volume": ("image", {"encoder": "resnet10_3d", "training": "scratch"}),
    "tfidf": ("text", {"encoder": "tfidf"}),
    "pathways": ("table", {}),
    "snn": ("table", {"encoder": "snn"}),
    "signal": ("signal", {}),
}


def make_variant(name):
    """A kind, a configuration, and the originals of a few cases."""
    import dataclasses

    kind, options = VARIANTS[name]
    rng = np.random.default_rng(0)
    config = make_config()
    config = dataclasses.replace(
        config, **{kind: dataclasses.replace(getattr(config, kind), **options)}
    )
    make = {
        "image": lambda i: rng.integers(0, 256, (2 + i % 3, 64, 64), dtype=np.uint8),
        "text": lambda i: f"{NOTES[i % 5]} {NOTES[(i * 3 + i // 5) % 5]}",
        "table": lambda i: (rng.normal(size=20) + i % 2).astype(np.float32),
        "signal": lambda i: rng.integers(-9000, 9000, (200 + 10 * i, 2)).astype(np.int16),
    }[kind]
    return kind, config, [make(i) for i in range(CASES)]
