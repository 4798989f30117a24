"""Who speaks when: clustered speaker embeddings, overlapping speech, pyannote where installed.

May import: the files and values of training.gold.
"""
