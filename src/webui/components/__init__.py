"""Parts that several tabs use: theme, controls, player, job list, charts.

May import: studio and below; no other package of webui.
"""
