"""Voice folders: listing, blends, uploads, trash.

May import: studio.settings, studio.schemas and below; no torch.
"""
