"""Effects on finished speech: pitch, band, equalizer, compressor, reverb.

May import: core, audio.
"""
