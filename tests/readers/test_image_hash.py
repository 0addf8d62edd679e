"""What is the same picture, and what is nearly the same."""

import numpy as np

from mmdiag.readers.imaging.image_hash import exact_hash, perceptual_hash
from mmdiag.readers.imaging.resample import to_stored


def test_a_picture_that_is_brighter_by_a_constant_is_nearly_the_same():
    volume = np.random.default_rng(0).integers(100, 900, size=(4, 40, 40)).astype(np.float32)
    own, brighter, again = (
        to_stored(one, size=40, slices=4) for one in (volume, volume + 64, volume.copy())
    )
    hashes = [exact_hash(one.stack, one.low, one.high) for one in (own, brighter, again)]
    assert hashes[0] == hashes[2] != hashes[1]
    assert perceptual_hash(own.stack) == perceptual_hash(brighter.stack)
