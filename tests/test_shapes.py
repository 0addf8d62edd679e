"""The tests check shapes of arrays at every call, in every module that names them."""

import jaxtyping
import numpy as np
import pytest

from mmdiag.inference.coalitions.shapley import shapley


def test_an_array_of_another_shape_is_refused_where_it_is_given():
    with pytest.raises(jaxtyping.TypeCheckError):
        shapley(lambda rows, _: np.zeros(len(rows)), np.ones(3, bool))  # of no case
