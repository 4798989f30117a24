"""Training data of the recipes: features, codes, durations, phones, augmentation.

May import: recipes.corpus and the packages below.
"""
