"""Generation with the SV2TTS networks: options, alignment checks, waves.

May import: sv2tts.modules and what sv2tts may import.
"""
