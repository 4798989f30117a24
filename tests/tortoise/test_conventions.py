"""Conventions of a bundle: what it can read, and what it says well at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tortoise.checkpoints.config import ModelConventions, read_config
from tortoise.generation.text_length import load_text_analyzer

STARTER = Path(__file__).resolve().parents[2] / "models" / "starter"


@pytest.mark.parametrize("limit", [-1, 401])
def test_a_piece_is_never_longer_than_what_can_be_read(limit: int) -> None:
    with pytest.raises(ValueError, match="piece_limit must be from 0 to the text_limit of 400"):
        ModelConventions(piece_limit=limit)


def test_texts_are_split_by_what_is_said_well_not_by_what_can_be_read() -> None:
    conventions = read_config(STARTER).conventions
    assert conventions.piece_limit < conventions.text_limit
    assert load_text_analyzer(STARTER).text_limit == conventions.piece_limit - 2
