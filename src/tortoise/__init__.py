"""The TorToiSe engine: networks, generation, checkpoints.

May import: core, audio, text, jobs, engines.
"""
