"""Speaker encoders: their datasets and training runs, and requests to preprocess and evaluate.

May import core, jobs, runs, studio.training_runs, studio.voices and the light modules of speakers.
"""
