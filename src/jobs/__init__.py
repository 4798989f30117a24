"""Long work: progress out, cancel in. Imports nothing heavy and nothing of ours."""
