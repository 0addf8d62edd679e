"""A table's own times say its rate, or agree with the one that is described."""

import numpy as np
import pandas as pd
import pytest

from mmdiag.errors import ReadError
from mmdiag.readers.signals.recording import read_signal

N = np.arange(2000)


def rate(folder, column, times, *, described=None, channels=("II",)):
    table = pd.DataFrame({column: times, "II": np.sin(np.arange(len(times)) / 7).round(6)})
    table.to_csv(folder / "a.csv", index=False)
    return read_signal(folder / "a.csv", channels, rate_hz=described, seconds=2.0).rate_hz


@pytest.mark.parametrize(
    ("column", "times", "hz"),
    [
        ("time_s", N / 250, 250),
        ("time [s]", N / 250, 250),
        ("Time (ms)", N * 4, 250),
        ("time_ms", np.round(N * 1000 / 360), 360),  # 3, 6, 8, 11 ...
        ("time_s", np.floor(N * 1000 / 360) / 1000, 360),
        ("seconds", 1.7e9 + N / 100, 100),
        ("timestamp_us", N * 2000, 500),
        ("time", [f"00:00:{n / 250:06.3f}" for n in N], 250),
        ("timestamp", pd.date_range("2020-03-01T10:00", periods=2000, freq="4ms"), 250),
    ],
)
def test_a_column_of_times_with_a_unit_says_the_rate(tmp_path, column, times, hz):
    assert rate(tmp_path, column, times) == pytest.approx(hz, rel=2e-4)
    assert rate(tmp_path, column, times, described=float(hz)) == pytest.approx(hz, rel=2e-4)


@pytest.mark.parametrize(
    "times", [N / 250, N * 4, N * 4000, N, np.round(N / 250, 3), N // 250, 5 + N / 250.02]
)
def test_times_without_a_unit_agree_with_the_described_rate(tmp_path, times):
    assert rate(tmp_path, "time", times, described=250.0) == pytest.approx(250, rel=1e-4)


@pytest.mark.parametrize("column", ["time", "Time", "t", "Zeit", "timestamp"])
@pytest.mark.parametrize("times", [N / 250, N * 4], ids=["s", "ms"])
def test_times_that_disagree_with_the_described_rate_are_refused(tmp_path, column, times):
    with pytest.raises(ReadError) as refusal:
        rate(tmp_path, column, times, described=500.0)
    assert refusal.value.code == "signal_rate"


UNEVEN = {
    "a pause": np.r_[N[:900], N[900:] + 500] / 250,
    "a sample is missing": np.delete(np.arange(2001), 700) / 250,
    "a pause since 1970": 1.7e9 + np.r_[N[:900], N[900:] + 500] / 250,
    "they jump back": np.r_[N[:900], N[:1100]] / 250,
    "events": np.cumsum(np.tile([0.002, 0.006], 1000)),
    "seconds with a pause": np.r_[N[:900], N[900:] + 5000] // 250,
}


@pytest.mark.parametrize("column", ["time", "time_s"])
@pytest.mark.parametrize("name", UNEVEN)
def test_times_that_do_not_rise_evenly_are_refused(tmp_path, name, column):
    with pytest.raises(ReadError) as refusal:
        rate(tmp_path, column, UNEVEN[name], described=250.0)
    assert refusal.value.code == "signal_rate"


def test_times_without_a_unit_say_no_rate(tmp_path):
    with pytest.raises(ReadError, match="no unit"):
        rate(tmp_path, "time", N / 250)


@pytest.mark.parametrize("separator", [",", ";"])
def test_facts_of_a_device_above_the_header_are_no_samples(tmp_path, separator):
    lines = [separator.join(("time_s", "II"))]
    lines += [f"{n / 250:.3f}{separator}{n % 50 / 100}" for n in range(500)]
    above = "Device,Holter 3\nRecorded,2024-03-01\n\n"
    (tmp_path / "a.csv").write_text(above + "\n".join(lines) + "\n")
    found = read_signal(tmp_path / "a.csv", ("II",), rate_hz=None, seconds=2.0)
    assert found.rate_hz == pytest.approx(250) and found.samples.shape == (500, 1)
    assert found.samples[:3, 0] == pytest.approx([0, 0.01, 0.02])


def test_samples_with_decimal_commas_are_refused_as_that(tmp_path):
    (tmp_path / "a.csv").write_text("time_s;II\n" + "".join(f"0,{n:03d};0,5\n" for n in range(9)))
    with pytest.raises(ReadError, match="decimal commas") as refusal:
        read_signal(tmp_path / "a.csv", ("II",), rate_hz=250.0, seconds=2.0)
    assert refusal.value.code == "delimiter"


def test_one_column_beside_the_times_is_the_channel(tmp_path):
    assert rate(tmp_path, "time (s)", N / 250, channels=()) == 250


@pytest.mark.parametrize("column", ["time", "t"])
def test_a_channel_and_words_are_no_times(tmp_path, column):
    uneven = np.sin(N)
    assert rate(tmp_path, column, uneven, described=250.0, channels=("II", column)) == 250
    assert rate(tmp_path, "time", ["rest"] * 2000, described=250.0) == 250
    assert rate(tmp_path, "t", uneven, described=250.0) == 250
