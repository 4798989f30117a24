"""Campaigns: many hostile inputs, kills or requests, counted. Tests run a few, the table many.

Each takes a folder and how many to try, and returns what it counted; it raises AssertionError
where something is lost, doubled or half written.
"""
