"""Helpers that several tests share: fakes, tiny models and data sets, servers."""
