"""Errors, options, paths, files, tables, trash, formatting: what every package needs.

May import: Nothing of the project, no torch, no numpy.
"""
