"""The Gradio page: five tabs and what they share.

May import: studio, jobs, engines' light parts, core; no torch.
"""
