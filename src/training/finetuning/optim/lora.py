"""LoRA adapters for the GPT's projections (arXiv:2106.09685), and merging them.

peft adapts its own kinds of layer; the projections here store (in, out), as the published
checkpoints do.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from tortoise.modules.gpt import Gpt, Projection

TARGET_MODULES = (("attn", "c_attn"), ("attn", "c_proj"), ("mlp", "c_fc"), ("mlp", "c_proj"))


class LoraProjection(nn.Module):
    """A frozen projection plus a trainable low-rank one that starts at zero."""

    def __init__(
        self, plain: Projection, rank: int, scale: float, generator: torch.Generator
    ) -> None:
        super().__init__()
        inputs, outputs = plain.weight.shape
        down = torch.randn(inputs, rank, generator=generator) / rank**0.5
        self.plain = plain.requires_grad_(False)
        self.down = nn.Parameter(down.to(plain.weight.device))
        self.up = nn.Parameter(torch.zeros(rank, outputs, device=plain.weight.device))
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        """x: (…, in).  Returns (…, out)."""
        update: Tensor = (x @ self.down) @ self.up
        output: Tensor = self.plain(x) + self.scale * update
        return output

    @torch.no_grad()
    def merge_weight(self) -> Tensor:
        """Return the weight of one equivalent projection: (in, out)."""
        return self.plain.weight + self.scale * (self.down @ self.up)


def add_lora_adapters(gpt: Gpt, rank: int, alpha: float, frozen: frozenset[int], seed: int) -> None:
    """Freeze the network and add adapters to the projections of all layers but `frozen`."""
    gpt.requires_grad_(False)
    generator = torch.Generator().manual_seed(seed)
    for number, block in enumerate(gpt.gpt.blocks):
        if number in frozen:
            continue
        for part, name in TARGET_MODULES:
            place = getattr(block, part)
            setattr(
                place, name, LoraProjection(getattr(place, name), rank, alpha / rank, generator)
            )


def get_merged_state_dict(gpt: Gpt) -> dict[str, Tensor]:
    """Return the weights of the equivalent network without adapters."""
    merged = {f"{name}.weight": adapted.merge_weight() for name, adapted in _iter_lora_modules(gpt)}
    state = {}
    for name, value in gpt.state_dict().items():
        if not name.endswith((".down", ".up")):
            plain = name.replace(".plain.", ".")
            state[plain] = merged.get(plain, value)
    return state


def get_adapter_state_dict(gpt: Gpt) -> dict[str, Tensor]:
    """Return the adapters, scaled so that weight + `down @ up` is the merged weight."""
    found = {}
    for name, adapted in _iter_lora_modules(gpt):
        found[f"{name}.down"] = adapted.down.detach()
        found[f"{name}.up"] = adapted.scale * adapted.up.detach()
    return found


def _iter_lora_modules(gpt: Gpt) -> Iterator[tuple[str, LoraProjection]]:
    for name, module in gpt.named_modules():
        if isinstance(module, LoraProjection):
            yield name, module
