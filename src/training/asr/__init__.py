"""Transcribers and transcripts: Whisper, PocketSphinx, subtitles, word alignment, VAD.

May import: The packages below training.
"""
