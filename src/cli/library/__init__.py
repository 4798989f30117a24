"""Commands for what the studio keeps: voices, models, history, settings, presets, pronunciations.

May import: cli, studio and what it stands on; no torch.
"""
