"""The registry knows engines by name and imports them only when asked."""

from __future__ import annotations

import pytest

from engines.registry import ENGINES, get_options_class


def test_every_entry_is_two_importable_addresses() -> None:
    for options, engine in ENGINES.values():
        assert options.count(":") == engine.count(":") == 1


def test_an_unknown_engine_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ValueError, match=r"no engine 'tortois'\. Did you mean 'tortoise'"):
        get_options_class("tortois")
