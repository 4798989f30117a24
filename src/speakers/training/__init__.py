"""Train speaker encoders: configuration, sampling, training loop, detached runs and their status.

May import: core, audio, jobs, runs, engines.device, and all of speakers.
"""
