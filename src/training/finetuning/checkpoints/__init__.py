"""Files of a run: checkpoints, training state, retention, best checkpoint.

May import: training.finetuning.config, training.finetuning.optim and the packages below training.
"""
