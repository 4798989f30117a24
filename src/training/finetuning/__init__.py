"""The finetuning program: data, loop, evaluation, export.

May import: training.dataset_prep, training.asr and the packages below training.
"""
