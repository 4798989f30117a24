"""train.yaml: schema, form fields, proposed values.

May import: core and the light parts of training; the page reads it, so it imports no torch.
"""
