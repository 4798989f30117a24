"""Interface of text-to-speech engines: protocols, registry, speaker latents, devices.

May import: core, audio, text; no concrete engine (the registry holds names).
"""
