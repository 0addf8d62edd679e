"""Where the repository lies, and beside it the folder of real data, which is not everywhere."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"
