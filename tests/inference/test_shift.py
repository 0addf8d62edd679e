"""Whether a batch is like the training: the test of a share against one tenth."""

import pandas as pd
import pytest
from scipy.special import betainc

from mmdiag.inference.shift import TAIL, shift_of

COUNTS = [
    (1, 1),
    (0, 3),
    (3, 3),
    (7, 40),
    (40, 300),
    (30, 300),
    (100_000, 100_000),
    (9_870, 99_000),
]


@pytest.mark.parametrize(("low", "cases"), COUNTS)
def test_the_p_value_is_that_of_the_binomial_distribution(low: int, cases: int) -> None:
    values = [TAIL / 2] * low + [0.5] * (cases - low)
    found = shift_of(pd.DataFrame({"atypical_scan": values}))["scan"]
    expected = betainc(low, cases - low + 1, TAIL) if low else 1.0
    assert found["p"] == pytest.approx(float(expected), rel=1e-8)
    assert found["cases"] == cases
