"""The networks of a bundle, brought to the device when they work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from core.progress import ProgressReporter
from engines.device import module_on_device
from tortoise.checkpoints.loading import TortoiseModel
from tortoise.generation.vocoding import prepare_for_inference

MEL_VOCODERS = ("vocoder", "bigvgan")
AUTOCAST_NETWORKS = ("clvp", "diffusion")  # compute their products in 16 bits and keep the rest


@dataclass(frozen=True, kw_only=True, eq=False)
class LoadedNetworks:
    """The loaded networks of a model (opened on the CPU), for use on `device`."""

    bundle: TortoiseModel
    device: torch.device
    cache: dict[tuple[str, bool], nn.Module] = field(default_factory=dict)

    @property
    def half(self) -> torch.dtype:
        """The 16-bit type that the device computes fast in."""
        return torch.float16 if self.device.type == "cuda" else torch.bfloat16

    def get_network(self, name: str, half: bool) -> nn.Module:
        """A network as it works: vocoders folded, and a copy of its own in 16 bits."""
        if (name, half) not in self.cache:
            network = getattr(self.bundle, name)
            if name in MEL_VOCODERS:
                network = prepare_for_inference(network)
                self.bundle.unload(name)
            self.cache[name, half] = deepcopy(network).to(self.half) if half else network
        return self.cache[name, half]


@dataclass(frozen=True, kw_only=True, eq=False)
class ModelManager:
    """Device placement of a request; with `low_vram` only one network is on the device."""

    networks: LoadedNetworks
    low_vram: bool
    half: bool
    report: ProgressReporter

    @contextmanager
    def use(self, name: str, exact: bool = False) -> Iterator[Any]:
        """Move one network to the device, for inference.

        Any: the class of that network. With half precision, the GPT is a 16-bit copy, because of
        its many small steps, and CLVP and the diffusion network run in 16-bit autocast. With
        `exact` they do not.
        """
        half = self.half and not exact
        with self.report.stage("load"):
            network = self.networks.get_network(name, half and name == "gpt")
            if self.low_vram:
                for other in self.networks.cache.values():
                    other.to("cpu")
            else:
                network.to(self.networks.device)
        device, dtype = self.networks.device, self.networks.half
        mixed = half and name in AUTOCAST_NETWORKS
        precision = torch.autocast(device.type, dtype) if mixed else nullcontext()
        with module_on_device(device, network), torch.inference_mode(), precision:
            yield network
