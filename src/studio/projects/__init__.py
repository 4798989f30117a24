"""Projects: clips of several lines with a name, listed, exported and imported.

May import: studio.history and below; no torch.
"""
