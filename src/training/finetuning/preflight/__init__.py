"""Checks before a run starts: dataset, weights, machine.

May import: training.finetuning.config and the packages below training.
"""
