"""SV2TTS in the studio: preprocess datasets, train synthesizers and vocoders, watch them.

May import: the light parts of sv2tts, speakers and runs, and studio.detached_runs; no torch.
"""
