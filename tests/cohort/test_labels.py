"""What is asked of a survival must be known of some labelled cases."""

import numpy as np
import pandas as pd
import pytest

from mmdiag.cohort.labels import require_horizon
from mmdiag.errors import UsageError
from mmdiag.task import Task

CASES = pd.DataFrame({"time": [3.0, 8.0, 24.0, 99.0], "event": [1.0, 1.0, 0.0, np.nan]})


@pytest.mark.parametrize(
    ("horizon", "fact"),
    [(60.0, "none was followed so far: name an earlier"), (2.0, "none has the event by then")],
)
def test_a_horizon_of_which_the_labelled_cases_tell_nothing_is_refused(horizon, fact):
    with pytest.raises(UsageError, match=f"horizon = {horizon:g} and {fact}"):
        require_horizon(CASES, Task(kind="survival", horizon=horizon))


@pytest.mark.parametrize("horizon", [0.0, 3.0, 24.0])
def test_a_horizon_within_the_follow_up_is_one(horizon):
    require_horizon(CASES, Task(kind="survival", horizon=horizon))
