"""Datasets as the page shows them: listing, clip edits, preparation requests, trash.

May import: studio.synthesis and below; no torch.
"""
