"""Training runs: configuration, start, stop, status, metrics, trash.

May import: studio.datasets, studio.diagnostics and below; no torch.
"""
