"""The networks of a bundle, brought to the device when they work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from engines.device import on
from jobs.report import Reporter
from tortoise.vocoders import for_inference
from tortoise.weights import Bundle

MEL_VOCODERS = ("vocoder", "bigvgan")
MIXED = ("clvp", "diffusion")  # compute their products in 16 bits and keep the rest


@dataclass(frozen=True, kw_only=True, eq=False)
class Networks:
    """What has been loaded of a bundle (opened on the CPU), ready to work on `device`."""

    bundle: Bundle
    device: torch.device
    ready: dict[tuple[str, bool], nn.Module] = field(default_factory=dict)

    @property
    def half(self) -> torch.dtype:
        """The 16-bit type that the device computes fast in."""
        return torch.float16 if self.device.type == "cuda" else torch.bfloat16

    def prepared(self, name: str, half: bool) -> nn.Module:
        """A network as it works: vocoders folded, and a copy of its own in 16 bits."""
        if (name, half) not in self.ready:
            network = getattr(self.bundle, name)
            if name in MEL_VOCODERS:
                network = for_inference(network)
                self.bundle.forget(name)
            self.ready[name, half] = deepcopy(network).to(self.half) if half else network
        return self.ready[name, half]


@dataclass(frozen=True, kw_only=True, eq=False)
class Bench:
    """Where one request works; with `low_vram` only one network at a time is on the device."""

    networks: Networks
    low_vram: bool
    half: bool
    report: Reporter

    @contextmanager
    def use(self, name: str, exact: bool = False) -> Iterator[Any]:
        """Bring up one network, for inference.  Any: the class that the bundle has for the name.

        Where the request asks for half precision, the GPT comes as a 16-bit copy, which its many
        small steps want, and CLVP and the diffusion network compute their products in 16 bits.
        With `exact` they do not.
        """
        half = self.half and not exact
        with self.report.stage("load"):
            network = self.networks.prepared(name, half and name == "gpt")
            if self.low_vram:
                for other in self.networks.ready.values():
                    other.to("cpu")
            else:
                network.to(self.networks.device)
        device, dtype = self.networks.device, self.networks.half
        mixed = half and name in MIXED
        precision = torch.autocast(device.type, dtype) if mixed else nullcontext()
        with on(device, network), torch.inference_mode(), precision:
            yield network
