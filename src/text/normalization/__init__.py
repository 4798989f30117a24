"""Written English to spoken English, one module for each kind of expression.

May import: core and the modules of text.
"""
