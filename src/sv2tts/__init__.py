"""The SV2TTS engine: Tacotron or Tacotron 2 makes a mel, a vocoder makes the wave.

May import: core, audio, text, jobs, engines, speakers, tortoise (its iSTFT vocoder).
"""
