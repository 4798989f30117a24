"""The command line program `testudo`: one module for each group of commands.

May import: studio, jobs, core; no torch.
"""
