"""What stands in for a region that is not known: what is usual there, not what is another's own."""

import numpy as np
import pytest

from mmdiag.explain.within.cells import Cells
from mmdiag.explain.within.usual_image import usual_stacks

SIZE, GRID, SLICES = 32, 4, 3
EVERYWHERE = Cells((SIZE, SIZE), GRID, *np.divmod(np.arange(SLICES * GRID * GRID), GRID * GRID))


def heads(count, slices=SLICES, colour=()):
    """Patients of grey level 100 + number; each has a bright lesion at a place of its own."""
    found = []
    for number in range(count):
        stack = np.full((slices, SIZE, SIZE, *colour), 100 + number, dtype=np.uint8)
        row, column = np.divmod(number, GRID)
        stack[number % slices, row * 8 : row * 8 + 8, column * 8 : column * 8 + 8] = 160
        found.append(stack)
    return found


@pytest.mark.parametrize("colour", [(), (3,)])
def test_nobodys_lesion_is_usual_and_each_place_is_of_the_middle_third(colour):
    own = np.full((SLICES, SIZE, SIZE, *colour), 20, dtype=np.uint8)
    found = usual_stacks(own, heads(12, colour=colour), EVERYWHERE, 5)
    assert len(found) == 5 and all(one.shape == own.shape for one in found)
    for one in found:
        middles = one[:, 4::8, 4::8]  # ranks 4 to 7, and at most the rim of a lesion beside
        assert middles.min() >= 103 and middles.max() <= 112
    assert any((found[0] != other).any() for other in found[1:])
    again = usual_stacks(own, heads(12, colour=colour), EVERYWHERE, 5)
    assert all((one == two).all() for one, two in zip(found, again, strict=True))


def test_what_lies_in_no_cell_is_the_cases_own_and_slices_are_aligned():
    own = np.full((SLICES, SIZE, SIZE), 20, dtype=np.uint8)
    corner = Cells((SIZE, SIZE), GRID, np.asarray([1]), np.asarray([0]))
    (found,) = usual_stacks(own, [stack[:2] for stack in heads(3, slices=7)], corner, 1)
    assert (found[[0, 2]] == 20).all() and (found[1, 16:, 16:] == 20).all()
    assert found[1, 2, 2] == 102  # of three, the first of whom has a lesion there


def test_of_one_other_patient_everything_is_usual():
    own = np.full((SLICES, SIZE, SIZE), 20, dtype=np.uint8)
    (other,) = heads(1)
    (found,) = usual_stacks(own, [other], EVERYWHERE, 1)
    assert (found == other).mean() == 1
