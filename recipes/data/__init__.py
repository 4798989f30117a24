"""Training data of the recipes: features, codes, latents, negatives, augmentation.

May import: recipes.corpus and the packages below.
"""
