"""Worker tasks for speaker encoders: datasets and their evaluation, and the speaker lab.

May import speakers, training.gold, studio.encoders and below.
"""
