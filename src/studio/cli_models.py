"""testudo models: which weights there are, and how they come in."""

from __future__ import annotations

import argparse
from collections.abc import Sequence


def add_command(commands: argparse._SubParsersAction, arguments: Sequence[str]) -> None:  # type: ignore[type-arg]
    """Add `models` to the program."""
    commands.add_parser("models", help="list, download, verify and import weights")
