"""Speaker datasets: layouts of recordings, what is left out and why, feature files, augmentation.

May import core, jobs, audio, speakers.modules.
"""
