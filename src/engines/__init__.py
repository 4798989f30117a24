"""What a text-to-speech engine is: protocols, registry, speaker latents, devices.

May import: core, audio, text; no concrete engine (the registry holds names).
"""
