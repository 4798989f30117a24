"""Worker tasks of SV2TTS: datasets, the demo, and the toolbox.

May import: as studio.workers.
"""
