"""The History tab.

May import: webui.components, studio and below.
"""
