"""Worker tasks of SV2TTS: datasets, and the demo.

May import: as studio.workers.
"""
