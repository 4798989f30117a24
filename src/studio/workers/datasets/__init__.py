"""Worker tasks of datasets: preparation, reports, gold-standard datasets, speech recognition.

May import: as studio.workers.
"""
