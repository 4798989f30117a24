"""Speaker encoders: their datasets and training runs, and requests to preprocess and evaluate.

May import core, jobs, runs and the light modules of speakers.
"""
