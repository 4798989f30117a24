"""Losses, optimizers, LoRA, freezing, divergence detection.

May import: tortoise and the packages below training.
"""
