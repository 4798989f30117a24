"""Gold-standard datasets: from a recording and its transcript to checked utterances.

May import: what training may import, and training.asr.
"""
