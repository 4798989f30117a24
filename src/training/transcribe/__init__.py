"""Who writes down what is said: given transcripts, Whisper, PocketSphinx, behind one protocol."""
