"""The networks of TorToiSe, one file for each; attribute names are the checkpoint's.

May import: torch and each other; no files, no devices.
"""
