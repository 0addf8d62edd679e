"""Statistics and texture of slices have the values that numpy and Haralick's example give."""

import numpy as np
import pytest

from mmdiag.prepare.slices.statistics import slice_statistics


def test_the_co_occurrence_of_haralicks_example_is_his():
    from mmdiag.prepare.slices.texture import co_occurrence

    image = np.array([[0, 0, 1, 1], [0, 0, 1, 1], [0, 2, 2, 2], [2, 2, 3, 3]])
    assert co_occurrence(image, (0, 1), 4).tolist() == [
        [4, 2, 1, 0],
        [2, 4, 0, 0],
        [1, 0, 6, 1],
        [0, 0, 1, 2],
    ]
    assert co_occurrence(image, (1, 0), 4).tolist() == [
        [6, 0, 2, 0],
        [0, 4, 2, 0],
        [2, 2, 2, 2],
        [0, 0, 2, 0],
    ]
    assert co_occurrence(image, (1, -1), 4).tolist() == [
        [4, 1, 0, 0],
        [1, 2, 2, 0],
        [0, 2, 4, 1],
        [0, 0, 1, 0],
    ]


def test_texture_tells_stripes_from_a_checkerboard_and_survives_one_grey():
    from mmdiag.prepare.slices.texture import plane_texture

    stripes = np.tile(np.array([[0, 255]], np.uint8), (32, 16))
    board = np.where(np.add.outer(np.arange(32), np.arange(32)) % 2, 255, 0).astype(np.uint8)
    assert (
        stripes.mean() == board.mean()
        and abs(plane_texture(stripes)[0] - plane_texture(board)[0]) > 1
    )
    assert all(np.isfinite(plane_texture(np.full((6, 6), 90, np.uint8))))


def test_the_statistics_of_a_slice_are_those_that_numpy_finds():
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(0)
    plane = np.clip(np.cumsum(rng.normal(0, 4, (48, 40)), axis=1) + 60, 0, 255).astype(np.uint8)
    grey = plane / 255.0
    inside = grey[grey > 0.04]
    found = slice_statistics(plane[None])[0]
    assert found[:7] == pytest.approx(
        [
            inside.size / grey.size,
            inside.mean(),
            inside.std(),
            *np.percentile(inside, (10, 50, 90, 99)),
        ],
        abs=1e-6,
    )
    for i, sigma in enumerate((1, 2, 4, 8)):
        smooth = gaussian_filter(grey, sigma, mode="nearest")
        down, across = np.gradient(np.pad(smooth, 1, mode="edge"))
        slope = np.hypot(down, across)[1:-1, 1:-1].mean()
        assert found[7 + 4 * i : 11 + 4 * i] == pytest.approx(
            [smooth.max(), smooth.std(), slope, np.percentile(smooth, 98)],
            abs=0.02 if sigma > 2 else 0.003,
        )
    assert len(found) == 7 + 4 * 4


def test_a_slice_without_structure_has_statistics():
    flat = slice_statistics(np.full((1, 32, 32), 51, np.uint8))[0]
    assert flat[:7] == pytest.approx([1, 0.2, 0, 0.2, 0.2, 0.2, 0.2]) and flat[
        7:11
    ] == pytest.approx([0.2, 0, 0, 0.2], abs=1e-3)
    assert np.isfinite(slice_statistics(np.zeros((2, 8, 8), np.uint8))).all(), (
        "a black slice has no inside"
    )
    assert (
        slice_statistics(np.zeros((0, 8, 8), np.uint8)).shape == (0, 23)
        and np.isfinite(slice_statistics(np.ones((3, 1, 1), np.uint8))).all()
    )


def test_the_statistics_of_a_slice_do_not_depend_on_the_others():
    stack = np.random.default_rng(0).integers(0, 255, (70, 64, 48), dtype=np.uint8)
    whole = slice_statistics(stack)
    assert np.array_equal(whole[41:44], slice_statistics(stack[41:44])) and np.array_equal(
        whole[69:], slice_statistics(stack[69:])
    )
