"""The studio, or a voice, as one file; and what takes space on the disk.

May import: core, studio.voices and below. No torch.
"""
