"""Audio files and streams, mel spectrograms, loudness, denoising, quality checks.

May import: core.
"""
