"""Trainings of the SV2TTS synthesizers and the vocoder, each in a process of its own.

May import: runs, the other packages of sv2tts and what sv2tts may import.
"""
