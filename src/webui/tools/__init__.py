"""The Utilities tab.

May import: webui.components, studio and below.
"""
