"""The corpus of synthetic speech: speakers, sentences, shards.

May import: The same as recipes.
"""
