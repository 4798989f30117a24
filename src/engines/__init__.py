"""What an engine is: its protocol, its knobs, its voice conditioning, the devices."""
