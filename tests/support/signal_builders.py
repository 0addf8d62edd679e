"""Cohorts and files with signals: recordings whose label follows from their frequency."""

import wave
from pathlib import Path

import numpy as np
import pandas as pd

RATE_HZ, SECONDS = 500, 4
SLOW_HZ, FAST_HZ = 6.0, 14.0

SECTION = """
[modalities.heart]
kind = "signal"
path = "signals/{case_id}.wav"
store_hz = 100
seconds = 3
"""


def tone(
    hertz: float, rng: np.random.Generator, *, channels: int = 1, noise: float = 0.3
) -> np.ndarray:
    """(time, channel) from -1 to 1: a sine of random phase and strength in noise."""
    time = np.arange(RATE_HZ * SECONDS) / RATE_HZ
    sine = rng.uniform(0.2, 0.5) * np.sin(2 * np.pi * (hertz * time + rng.random()))
    return np.clip(sine[:, None] + 0.1 * noise * rng.normal(size=(len(time), channels)), -1, 1)


def write_wav(path: Path, samples: np.ndarray, *, rate_hz: int = RATE_HZ) -> Path:
    """16-bit PCM from samples of -1 to 1."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(np.rint(samples * 32767).astype("<i2").tobytes())
    return path


def write_cohort_with_signals(folder: Path, *, cases: int = 60, seed: int = 0) -> Path:
    """A phantom whose images, notes and genes say nothing, and recordings whose frequency is the
    label; every seventh case has none.
    """
    from mmdiag.phantom import write_phantom

    write_phantom(folder, cases=cases, seed=seed, signal="none")
    rng = np.random.default_rng(seed)
    table = pd.read_csv(folder / "cases.csv", dtype=str)
    for number, (case, label) in enumerate(zip(table["case_id"], table["label"], strict=True)):
        if number % 7 != 6:
            write_wav(
                folder / "signals" / f"{case}.wav", tone(FAST_HZ if label == "1" else SLOW_HZ, rng)
            )
    description = folder / "cohort.toml"
    description.write_text(description.read_text() + SECTION)
    return description
