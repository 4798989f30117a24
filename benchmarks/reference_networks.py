"""The arithmetic of the original program, at the same sizes, for comparing speed and results.

The autoregressive network is built from the GPT-2 blocks of transformers, with a prefix and a cache
for each candidate; CLVP and the diffusion network are plain modules that encode the text for each
candidate, pad codes to the full length and compute guidance in two passes. They take the weights of
our networks, so that the results can be compared.

Shapes: r candidates, t text tokens, m codes, d width, b batch, f mel frames.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import DynamicCache, GPT2Config, GPT2Model

from tortoise.modules.attention import AttentionBlock, RelativePositionBias
from tortoise.modules.clvp import Clvp
from tortoise.modules.diffusion_decoder import DiffusionDecoder, ResBlock, timestep_embedding
from tortoise.modules.gpt import Gpt
from tortoise.modules.transformer import RotaryEmbedding, apply_rotary_embedding


class ReferenceGpt:
    """GPT-2 of transformers over the sequence of our network."""

    def __init__(self, gpt: Gpt) -> None:
        config = gpt.config
        self.ours = gpt
        with torch.device("meta"):
            self.blocks = GPT2Model(
                GPT2Config(
                    vocab_size=1,
                    n_positions=config.max_text_tokens + config.max_mel_tokens + 8,
                    n_embd=config.model_dim,
                    n_layer=config.layers,
                    n_head=config.heads,
                    bos_token_id=None,
                    eos_token_id=None,
                    attn_implementation="eager",
                )
            )
        state = {key: value.detach() for key, value in gpt.gpt.state_dict().items()}
        positions = torch.zeros(self.blocks.wpe.weight.shape)  # ours come with the embeddings
        state |= {"wpe.weight": positions, "wte.weight": torch.zeros(1, config.model_dim)}
        self.blocks.load_state_dict(state, strict=True, assign=True)
        self.blocks.requires_grad_(False).eval()

    def prefill(self, conditioning: Tensor, text: Tensor, rows: int) -> DynamicCache:
        """Read voice and text once for each candidate.  conditioning: (1, d);  text: (1, t)."""
        prefix = self.ours.prefix(conditioning, text).expand(rows, -1, -1).contiguous()
        return self.blocks(inputs_embeds=prefix, use_cache=True).past_key_values

    def decode_step(self, codes: Tensor, position: int, cache: DynamicCache) -> Tensor:
        """Append a code to each candidate.  codes: (r,).  Returns logits (r, v)."""
        embedded = self.ours.mel_embedding(codes) + self.ours.mel_pos_embedding.emb.weight[position]
        found = self.blocks(
            inputs_embeds=embedded[:, None], cache=cache, use_cache=True
        ).last_hidden_state[:, 0]
        logits: Tensor = self.ours.mel_head(self.ours.final_norm(found))
        return logits

    def second_pass(self, conditioning: Tensor, text: Tensor, codes: Tensor) -> Tensor:
        """The latents of codes (1, m) that were padded to the full length: (1, m, d)."""
        ours = self.ours
        inputs = F.pad(codes, (1, 0), value=ours.config.start_mel_token)[:, :-1]
        embedded = torch.cat([ours.prefix(conditioning, text), ours.embed_codes(inputs)], dim=1)
        states = self.blocks(inputs_embeds=embedded).last_hidden_state
        latents: Tensor = ours.final_norm(states)[:, -codes.shape[1] :]
        return latents


class ReferenceClvp:
    """Encoders with explicit attention maps; the text is encoded once for each candidate."""

    def __init__(self, clvp: Clvp) -> None:
        self.ours = clvp

    def score(self, text: Tensor, codes: Tensor) -> Tensor:
        """text: (1, t);  codes: (r, m) padded to the full length.  Returns (r,)."""
        ours = self.ours
        texts = text.expand(len(codes), -1)
        said = encode_plainly(ours.text_transformer.transformer, ours.text_emb(texts)).mean(1)
        heard = encode_plainly(ours.speech_transformer.transformer, ours.speech_emb(codes)).mean(1)
        pair = (
            F.normalize(ours.to_text_latent(said), dim=-1),
            F.normalize(ours.to_speech_latent(heard), dim=-1),
        )
        return (pair[0] * pair[1]).sum(-1) * ours.temperature.exp()


def encode_plainly(transformer: nn.Module, x: Tensor) -> Tensor:
    """x-transformers' blocks step by step.  x: (b, n, d).  Returns (b, n, d)."""
    rotary = transformer.attn_layers.rotary_pos_emb
    assert isinstance(rotary, RotaryEmbedding)
    angles = rotary(x.shape[1])
    kept = []  # the original keeps the maps of every layer
    for norm, wrapper in transformer.attn_layers.layers:
        block, normed = wrapper.wrap, norm(x)
        if not hasattr(block, "to_q"):
            x = x + block.net(normed)
            continue
        q, k, v = (
            apply_rotary_embedding(to(normed).unflatten(-1, (-1, 64)).transpose(1, 2), angles)
            for to in (block.to_q, block.to_k, block.to_v)
        )
        scores = torch.einsum("bhid,bhjd->bhij", q, k) * 64**-0.5
        before = scores.clone()
        maps = scores.softmax(-1)
        kept.append((before.shape, maps.clone().shape))  # their sizes: the maps take 12 GB
        mixed = torch.einsum("bhij,bhjd->bhid", maps, v)
        x = x + block.to_out(mixed.transpose(1, 2).flatten(2))
    found: Tensor = transformer.norm(x)
    return found


class ReferenceDiffusion:
    """Convolutions and legacy attention; with guidance two passes of one item each."""

    def __init__(self, decoder: DiffusionDecoder) -> None:
        self.ours = decoder

    def forward(self, x: Tensor, timesteps: Tensor, embedding: Tensor) -> Tensor:
        """x: (1, c, f);  timesteps: (1,);  embedding: (1, d, f).  Returns (1, 2 c, f)."""
        ours = self.ours
        time = ours.time_embed(timestep_embedding(timesteps, ours.config.width))
        for layer in ours.conditioning_timestep_integrator:
            embedding = attend_plainly(layer.attn, layer.resblk(embedding, time))
        hidden = ours.integrating_conv(torch.cat([ours.inp_block(x), embedding], dim=1))
        for layer in ours.layers:
            if isinstance(layer, ResBlock):
                hidden = layer(hidden, time)
            else:
                hidden = attend_plainly(layer.attn, layer.resblk(hidden, time))
        found: Tensor = ours.out(hidden)
        return found

    def pair(self, x: Tensor, timesteps: Tensor, embedding: Tensor) -> tuple[Tensor, Tensor]:
        """The conditioned and the unconditioned output, one pass after the other."""
        without = self.ours.expand_unconditioned_embedding(embedding)
        return self.forward(x, timesteps, embedding), self.forward(x, timesteps, without)


def attend_plainly(block: AttentionBlock, x: Tensor) -> Tensor:
    """The original's attention: scores, T5's bias, softmax, one step each.  x: (b, c, n)."""
    b, c, n = x.shape
    heads = block.heads
    qkv = block.qkv(block.norm(x)).reshape(b * heads, 3 * c // heads, n)
    q, k, v = qkv.split(c // heads, dim=1)
    scale = (c // heads) ** -0.25
    scores = torch.einsum("bct,bcs->bts", q * scale, k * scale)
    bias = block.relative_pos_embeddings
    if isinstance(bias, RelativePositionBias):
        scores = (scores.view(b, heads, n, n) + bias(n)).view(b * heads, n, n)
    maps = scores.float().softmax(-1).type(scores.dtype)
    mixed = torch.einsum("bts,bcs->bct", maps, v).reshape(b, c, n)
    attended: Tensor = block.proj_out(mixed)
    return x + attended
