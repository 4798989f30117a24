"""Readers of transcripts stored beside recordings: text files, lists, subtitles.

May import: training.asr.base and the packages below training.
"""
