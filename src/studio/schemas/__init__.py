"""Requests and results of jobs, settings, clip metadata: data classes only.

May import: core, engines' light parts, training's light parts; no torch.
"""
