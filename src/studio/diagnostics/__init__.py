"""Health checks, system report, update check.

May import: studio.synthesis and below; no torch.
"""
