"""The HTTP server: application, login, security middleware, streaming.

May import: studio, jobs, engines' light parts, core; no torch, no gradio.
"""
