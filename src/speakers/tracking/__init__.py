"""MLflow: tracked trainings, the logged model, and the model registry.

May import core, audio, speakers.
"""
