"""Tasks that run in the worker process; the only part of studio that imports torch.

May import: Everything in studio except studio.app, and the packages below.
"""
