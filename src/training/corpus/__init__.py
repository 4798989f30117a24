"""A corpus of speech with exact transcripts, made by free speech synthesizers."""
