"""A signal's channels are drawn under each other; one that the recording lacks is named, not drawn."""

import numpy as np

from dashboards.charts.case import envelope, signal
from mmdiag.readers.signals.stored import MISSING


def test_a_channel_that_is_missing_has_a_name_and_no_line():
    samples = np.zeros((50, 3), np.int16)
    samples[:, 1] = MISSING
    samples[::2, 2] = 900
    assert sorted(envelope(samples, 10.0)["channel"].unique()) == [1, 3]
    drawn = signal(samples, 10.0, [], "ECG").to_json()
    assert "channel 2 (missing)" in drawn and "channel 3 (missing)" not in drawn
