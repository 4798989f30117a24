"""The kinds of written expressions, one module each: rules with their examples.

May import: core and the modules of text.
"""
