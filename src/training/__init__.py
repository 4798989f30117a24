"""Recipes that train the networks, and the corpus and datasets they learn from."""
