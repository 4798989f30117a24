"""One self-contained HTML page about a dataset: figures, plots, the worst utterances with sound.

May import: what training may import, training.dataset_prep, and training.gold.diary.
"""
