"""Speaker encoders: features, networks, embeddings, training, evaluation and plots.

May import: core, audio, jobs, runs, engines.device; not another engine, no files of the user.
"""
