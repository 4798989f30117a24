"""Networks, losses and features of the speaker encoders, and their checkpoint files.

May import: core, audio.
"""
