"""MLflow: the tracked training of Pee Wee's Tacotron 2.

May import what sv2tts imports, and speakers.tracking.
"""
