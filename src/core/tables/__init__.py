"""Tables and texts as other programs save them: encodings, separators, workbooks, column names.

May import: core.
"""
