"""Synthesis in the worker: engine and latents caches, session, line takes, writing.

May import: The same as studio.workers.
"""
