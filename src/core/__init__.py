"""Errors, options, paths, atomic files, trash, formatting: what every package needs.

May import: Nothing of the project, no torch, no numpy.
"""
