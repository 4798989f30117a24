"""What runs where torch is: speaking, and listening to voices."""
