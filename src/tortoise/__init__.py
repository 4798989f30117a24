"""Engine one: TorToiSe (draft, rank, latents, denoise, vocode)."""
