"""The networks of SV2TTS, with the parameter names of the published checkpoints.

May import: audio and the modules of sv2tts.modules.
"""
