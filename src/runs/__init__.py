"""The files of a training run: event log, events, saved states.

May import: core, jobs.
"""
