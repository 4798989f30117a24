"""The fixtures of the studio tests."""

from __future__ import annotations

from support.studio_fixtures import humming, layout, real_engines, testudo

__all__ = ["humming", "layout", "real_engines", "testudo"]
