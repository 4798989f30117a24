"""Evaluation of speaker encoders: verification, similarity, tables, projections and pictures.

May import core, audio, speakers.modules, speakers.embedding.
"""
