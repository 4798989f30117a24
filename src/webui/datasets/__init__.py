"""The Training tab: prepare and review datasets.

May import: webui.components, studio and below.
"""
