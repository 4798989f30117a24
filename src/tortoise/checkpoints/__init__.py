"""Model folders: configuration, loading, conversion, merging and verifying of weights.

May import: tortoise.modules and the packages below tortoise.
"""
