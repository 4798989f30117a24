"""Low-rank adapters for the GPT's projections (LoRA, arXiv:2106.09685), and back to plain weights.

Libraries adapt their own kinds of layer; the projections here store (in, out), as the published
checkpoints do, so the few lines it takes are written out.

Shapes: r rank.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from tortoise.modules.gpt import Gpt, Projection

ADAPTER_FILE = "adapter.safetensors"
TARGET_MODULES = (("attn", "c_attn"), ("attn", "c_proj"), ("mlp", "c_fc"), ("mlp", "c_proj"))


class LoraProjection(nn.Module):
    """A frozen projection and a small one beside it that learns; it starts as the frozen one."""

    def __init__(self, plain: Projection, rank: int, scale: float, draws: torch.Generator) -> None:
        super().__init__()
        inputs, outputs = plain.weight.shape
        down = torch.randn(inputs, rank, generator=draws) / rank**0.5
        self.plain = plain.requires_grad_(False)
        self.down = nn.Parameter(down.to(plain.weight.device))
        self.up = nn.Parameter(torch.zeros(rank, outputs, device=plain.weight.device))
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        """x: (…, in).  Returns (…, out)."""
        beside: Tensor = (x @ self.down) @ self.up
        through: Tensor = self.plain(x) + self.scale * beside
        return through

    @torch.no_grad()
    def merge_weight(self) -> Tensor:
        """The weight of one projection that does the same: (in, out)."""
        return self.plain.weight + self.scale * (self.down @ self.up)


def add_lora_adapters(gpt: Gpt, rank: int, alpha: float, frozen: frozenset[int], seed: int) -> None:
    """Freeze the network and put adapters beside the projections of all layers but `frozen`."""
    gpt.requires_grad_(False)
    draws = torch.Generator().manual_seed(seed)
    for number, block in enumerate(gpt.gpt.blocks):
        if number in frozen:
            continue
        for part, name in TARGET_MODULES:
            place = getattr(block, part)
            setattr(place, name, LoraProjection(getattr(place, name), rank, alpha / rank, draws))


def get_merged_state_dict(gpt: Gpt) -> dict[str, Tensor]:
    """The weights of a network without adapters that speaks alike; of one without, its own."""
    merged = {f"{name}.weight": adapted.merge_weight() for name, adapted in _iter_lora_modules(gpt)}
    state = {}
    for name, value in gpt.state_dict().items():
        if not name.endswith((".down", ".up")):
            plain = name.replace(".plain.", ".")
            state[plain] = merged.get(plain, value)
    return state


def get_adapter_state_dict(gpt: Gpt) -> dict[str, Tensor]:
    """Only what learned, scaled so that a weight and `down @ up` add up; {} without adapters."""
    found = {}
    for name, adapted in _iter_lora_modules(gpt):
        found[f"{name}.down"] = adapted.down.detach()
        found[f"{name}.up"] = adapted.scale * adapted.up.detach()
    return found


def _iter_lora_modules(gpt: Gpt) -> Iterator[tuple[str, LoraProjection]]:
    for name, module in gpt.named_modules():
        if isinstance(module, LoraProjection):
            yield name, module
