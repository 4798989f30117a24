"""Vocoders: UnivNet, BigVGAN, HiFi-GAN and the iSTFT vocoder turn a mel or latents into a wave.

May import: tortoise.modules and what tortoise may import.
"""
