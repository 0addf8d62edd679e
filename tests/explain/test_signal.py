"""The windows of a signal that are explained: where they lie in seconds, and what they add."""

import numpy as np
import pytest

from mmdiag.explain.kinds.embedding import edges_of
from mmdiag.explain.kinds.signal import _of_windows, _windows


def test_windows_cover_a_signal_without_gaps_and_carry_their_values():
    windows = _windows(edges_of(250, 20), np.arange(20, dtype=float), 100.0)
    assert len(windows) == 20 and windows[0]["start_s"] == 0 and windows[-1]["end_s"] == 2.5
    ends = [window["end_s"] for window in windows[:-1]]
    assert ends == [window["start_s"] for window in windows[1:]]
    assert [window["value"] for window in windows] == list(range(20))


def test_a_signal_shorter_than_the_windows_has_one_a_sample():
    assert edges_of(3, 20).tolist() == [0, 1, 2, 3]


def test_where_the_rate_was_not_recorded_windows_are_counted_in_samples():
    first = _windows(edges_of(250, 20), np.zeros(20), None)[0]
    assert first == {"start": 0, "end": 12, "value": 0.0}


def test_the_windows_that_an_answer_hangs_on_are_found_with_their_sign_and_add_up():
    signal = np.zeros((100, 1), np.int16)
    signal[40:50], signal[70:75] = 500, -300

    def ask(signals):
        return np.asarray([one[40:50].sum() / 1000 + one[70:75].sum() / 1000 for one in signals])

    edges = edges_of(100, 10)
    values = _of_windows(signal, edges.tolist(), ask)
    assert values.argmax() == 4 and values.argmin() == 7
    assert np.abs(np.delete(values, [4, 7])).max() < 1e-9
    still = np.full_like(signal, round(float(signal.mean())))
    assert values.sum() == pytest.approx(float(ask([signal])[0] - ask([still])[0]))
