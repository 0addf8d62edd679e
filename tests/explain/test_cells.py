"""The cells of a grid over a stack that lie on the body."""

import numpy as np

from mmdiag.explain.within.cells import Cells


def test_a_slice_without_a_cell_is_covered_by_nothing():
    cells = Cells((32, 48), 4, np.asarray([1, 1]), np.asarray([5, 6]))
    nothing = cells.covered(np.flatnonzero(cells.slice == 0), np.zeros((1, 0), dtype=bool))
    assert nothing.shape == (1, 32, 48) and not nothing.any()
    one = cells.covered(np.flatnonzero(cells.slice == 1), np.asarray([[True, False], [True, True]]))
    assert one[0].sum() < one[1].sum() and one.max() <= 1
