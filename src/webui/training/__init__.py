"""The Training tab: configure and train.

May import: webui.components, webui.datasets, studio and below.
"""
