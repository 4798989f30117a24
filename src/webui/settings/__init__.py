"""The Settings tab: settings, models, system.

May import: webui.components, studio and below.
"""
