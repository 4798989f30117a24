"""settings.yaml: reading, writing, and where each value comes from.

May import: studio.schemas and below; no torch.
"""
