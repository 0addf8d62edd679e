"""Where the body is in a stack: what a heat map may shade, and the slice that a viewer opens at."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmdiag.explain.tissue import cells_with_tissue, most_tissue, tissue_mask

Y, X = np.mgrid[-1:1:64j, -1:1:64j]


def head(radius: float, *, noise: int = 0, padding: int = 0) -> np.ndarray:
    """A slice through a head: bright skull, dark ventricles, in air with its noise."""
    rng = np.random.default_rng(int(radius * 1000))
    distance = np.hypot(X, Y)
    plane = rng.integers(0, noise + 1, X.shape)
    plane[distance < radius] = 90
    plane[(distance < radius) & (distance > radius - 0.08)] = 160
    plane[distance < radius / 4] = 3
    if padding:
        plane[:padding] = plane[-padding:] = plane[:, :padding] = plane[:, -padding:] = 0
    return plane.astype(np.uint8)


@pytest.mark.parametrize(("noise", "padding"), [(0, 0), (12, 0), (12, 4)])
def test_the_body_is_found_with_its_dark_parts_and_without_the_air(noise, padding):
    stack = np.stack([head(r, noise=noise, padding=padding) for r in (0.5, 0.7, 0.6)])
    mask = tissue_mask(stack)
    for plane, radius in zip(mask, (0.5, 0.7, 0.6), strict=True):
        inside = np.hypot(X, Y) < radius
        assert (plane == inside).mean() > 0.98
        assert plane[np.hypot(X, Y) < radius / 4].all(), "ventricles lie inside"


def test_the_lungs_of_a_radiograph_belong_to_the_body():
    plane = np.full((64, 64), 170, np.uint8)
    plane[:, :6] = plane[:, -6:] = 2
    plane[16:48, 12:28] = plane[16:48, 36:52] = 25
    mask = tissue_mask(plane[None])[0]
    assert mask[:, 6:-6].all() and not mask[:, :6].any() and not mask[:, -6:].any()


def test_a_picture_without_background_is_all_body_and_an_even_slice_is_none():
    rng = np.random.default_rng(0)
    bright = rng.integers(80, 200, (1, 32, 32)).astype(np.uint8)
    assert tissue_mask(bright).all()
    assert not tissue_mask(np.full((2, 32, 32), 255, np.uint8)).any()


def test_white_padding_is_no_body():
    plane = np.full((48, 48), 255, np.uint8)
    plane[8:40, 8:40] = np.random.default_rng(1).integers(60, 180, (32, 32))
    mask = tissue_mask(plane[None])[0]
    assert mask[8:40, 8:40].all() and mask.sum() == 32 * 32


def test_a_letter_beside_the_body_is_not_shaded():
    plane = head(0.6)
    plane[2:5, 2:4] = 255
    assert not tissue_mask(np.stack([plane, plane]))[:, :8, :8].any()


@given(st.lists(st.floats(0.1, 0.9), min_size=1, max_size=9), st.integers(0, 10))
def test_the_viewer_opens_at_the_slice_with_most_tissue(radii, noise):
    stack = np.stack([head(radius, noise=noise) for radius in radii])
    areas = [(np.hypot(X, Y) < radius).sum() for radius in radii]
    assert areas[most_tissue(stack)] >= 0.97 * max(areas)


def test_of_slices_alike_the_one_nearest_to_the_middle_is_opened():
    assert most_tissue(np.stack([head(0.5)] * 5)) == 2
    assert most_tissue(np.zeros((5, 16, 16), np.uint8)) == 2


def test_a_stack_in_colour_has_its_body_too():
    grey = np.stack([head(0.4), head(0.7)])
    assert np.array_equal(tissue_mask(np.stack([grey] * 3, axis=3)), tissue_mask(grey))


def test_cells_without_a_pixel_of_the_body_are_told():
    stack = np.zeros((4, 64, 64), np.uint8)
    stack[2:, 8:16, 40:56] = 100
    touched = cells_with_tissue(stack, (2, 8, 8))
    assert touched.sum() == 2 and touched[1, 1, 5] and touched[1, 1, 6]


def test_a_cell_that_holds_a_sliver_of_the_body_is_beside_it_unless_there_is_nothing_else():
    stack = np.zeros((2, 64, 64), np.uint8)
    stack[0, 8:32, 8:33] = 100  # the last column lies in the next cells
    whole = cells_with_tissue(stack, (2, 8, 8), 0.5)
    assert whole.sum() == 9 and whole[0, 1:4, 1:4].all()
    assert cells_with_tissue(stack, (2, 8, 8)).sum() == 12
    stack[0, 8:32, 8:32] = 0
    assert cells_with_tissue(stack, (2, 8, 8), 0.5).sum() == 3
