"""Losses and discriminators of the recipes.

May import: what recipes may import.
"""
