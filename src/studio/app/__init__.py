"""The composition root: the Studio object, the job service and the task table.

May import: Everything in studio; workers by task name only.
"""
