"""What ships to try meshd with: handwritten digits, and the model that reads them."""

from __future__ import annotations

from pathlib import Path

DIGITS = Path(__file__).parent / "digits"
"""The folder of `digits.job.toml`; `train_digits.py` made what is in it."""
