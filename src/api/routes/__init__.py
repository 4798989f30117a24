"""HTTP routes, one module for each resource.

May import: api's modules, studio and below; no torch, no gradio.
"""
