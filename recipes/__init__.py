"""Train every network of the starter bundle from nothing.

May import: core, audio, text, jobs, engines, tortoise, training; nothing under src imports recipes.
"""
