"""The SV2TTS engine: Tacotron or Tacotron 2 makes a mel, WaveRNN makes the wave.

May import: core, audio, text, jobs, engines, speakers.
"""
