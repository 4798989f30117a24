"""Data and export of the starter model of the SV2TTS engine; its trainers do the rest.

May import: The same as recipes.
"""
