"""Model folders: listing, import, download, verification, finetuned models.

May import: studio.voices, studio.schemas and below; no torch.
"""
