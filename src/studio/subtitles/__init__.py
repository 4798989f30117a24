"""Subtitles: those of a clip, and the script that speaks those of a file.

May import: studio.synthesis and below; no torch.
"""
