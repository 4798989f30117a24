"""What the program can do, in words that a user would use."""
