"""Where the project is, and where the shared cases and data lie beside it."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TESTS = ROOT / "tests"
SHARED = ROOT.parent / "shared"
"""Not part of the project: what needs it skips where it is missing."""
