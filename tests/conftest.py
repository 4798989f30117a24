"""What every test shares: where the reference vectors are, and how to read one case."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"
settings.register_profile("untimed", deadline=None)  # a busy machine is no failure
settings.load_profile("untimed")
GOLDEN = Path(os.environ.get("GOLDEN_DIR", SHARED / "reference" / "tortoise" / "golden"))


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """Small networks run fastest, and repeatably, on one thread."""
    torch.set_num_threads(1)
