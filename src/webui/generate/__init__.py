"""The Generate tab.

May import: webui.components, studio and below.
"""
