"""How numbers, signs and short forms are read aloud in English."""
