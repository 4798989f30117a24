"""From text and speaker latents to audio: sampling, reranking, diffusion, vocoding.

May import: tortoise.checkpoints, tortoise.modules and the packages below tortoise.
"""
