"""Commands for datasets and trainings: prepare, configure, finetune, encoder, synthesizer, gold.

May import: what cli may import.
"""
