"""The languages of the page: a catalogue for each, and where its texts are replaced.

The English texts of the code are the keys. May import: core, studio.schemas; no other package of
webui.
"""
