"""From a request to files: planning, chunks, preview, output names, metadata.

May import: studio.model_store, studio.voices and below; no torch.
"""
