"""From recordings to a dataset: cutting, transcription, quality gates, review.

May import: training.asr and the packages below training.
"""
