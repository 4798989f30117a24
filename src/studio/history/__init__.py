"""Generated clips: index, search, stars, export, trash.

May import: studio.synthesis and below; no torch.
"""
