"""The windows of a signal that are explained: where they lie in seconds, and what they change."""

import numpy as np

from mmdiag.explain.kinds.signal import windows_of
from mmdiag.explain.occlusion import window_edges, window_weights


def test_windows_cover_a_signal_without_gaps_and_carry_their_weights():
    samples = np.zeros((250, 2), np.int16)
    windows = windows_of(samples, np.arange(20, dtype=np.float32), 100.0)
    assert len(windows) == 20 and windows[0]["start_s"] == 0 and windows[-1]["end_s"] == 2.5
    ends = [window["end_s"] for window in windows[:-1]]
    assert ends == [window["start_s"] for window in windows[1:]]
    assert [window["value"] for window in windows] == list(range(20))


def test_a_signal_shorter_than_the_windows_has_one_a_sample():
    assert window_edges(3, 20).tolist() == [0, 1, 2, 3]


def test_a_cohort_that_was_ingested_before_rates_were_recorded_has_no_windows_in_seconds():
    assert windows_of(np.zeros((250, 2), np.int16), np.zeros(20, np.float32), None) == []


def test_the_window_that_moves_the_answer_is_named_in_seconds():
    samples = np.zeros((200, 1), np.int16)
    samples[100:110] = 1000
    weights = window_weights(
        samples, lambda variants: np.asarray([float(v[100:110].sum()) / 1000 for v in variants])
    )
    windows = windows_of(samples, weights, 50.0)
    most = max(windows, key=lambda window: window["value"])
    assert (most["start_s"], most["end_s"]) == (2.0, 2.2) and most["value"] > 9
