"""Speech recognition, dataset preparation and finetuning.

May import: core, audio, text, jobs, engines, tortoise; not the studio.
"""
