"""Audio and text by themselves: clips, files, mel spectrograms, loudness, sentences."""
