"""The command line tests use the same fixtures as the studio's."""

from __future__ import annotations

from support.studio_fixtures import humming, layout, real_engines, testudo

__all__ = ["humming", "layout", "real_engines", "testudo"]
