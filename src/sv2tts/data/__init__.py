"""Datasets of SV2TTS: preprocessing, splitting at silences, batches.

May import: sv2tts.modules and what sv2tts may import.
"""
