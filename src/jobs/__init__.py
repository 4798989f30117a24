"""The job queue, its SQLite store, the worker process, detached processes and ETA.

May import: core; no torch.
"""
