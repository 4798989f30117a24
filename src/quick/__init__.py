"""Voice conversion with a speaker codec, and an engine that speaks through it.

May import: core, audio, text, engines, speakers, tortoise.
"""
