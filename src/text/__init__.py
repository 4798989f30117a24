"""Text before speech: script, segmentation, phonemes, tokenizers.

May import: core.
"""
