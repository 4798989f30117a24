"""The networks of a bundle, brought to the device when they work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import nn

from core.progress import ProgressReporter
from engines.device import module_on_device
from tortoise.checkpoints.loading import TortoiseModel
from tortoise.generation.vocoding import prepare_for_inference
from tortoise.modules.linear_formats import (
    LINEAR_FORMATS,
    LinearFormat,
    choose_fastest_format,
    is_format_available,
)
from tortoise.modules.packing import pack_linears

MEL_VOCODERS = ("vocoder", "bigvgan")
AUTOCAST_NETWORKS = ("clvp", "diffusion")  # compute their products in 16 bits and keep the rest
PACKED_NETWORKS = ("gpt", "clvp", "diffusion")  # what takes nearly all of the time
EXACT, FAST, HALF = "exact", "fast", "half"
MEASURED_ROWS = 16  # candidates that are sampled at once
MIN_INT8_WIDTH = 512  # narrower networks gain little from 8 bits, and their words get less clear


@dataclass(frozen=True, kw_only=True, eq=False)
class LoadedNetworks:
    """The loaded networks of a model (opened on the CPU), for use on `device`."""

    bundle: TortoiseModel
    device: torch.device
    cache: dict[tuple[str, str], nn.Module] = field(default_factory=dict)
    measured: dict[str, str] = field(default_factory=dict)

    @property
    def half(self) -> torch.dtype:
        """The 16-bit type that the device computes fast in."""
        return torch.float16 if self.device.type == "cuda" else torch.bfloat16

    def set_lora_strength(self, strength: float) -> None:
        """Choose the share of the model's LoRA adapter; with another one the GPT is loaded again.

        Raises ModelFileError for a model that has no adapter.
        """
        if self.bundle.set_lora_strength(strength):
            for key in [key for key in self.cache if key[0] == "gpt"]:
                del self.cache[key]

    def resolve_precision(self, requested: str) -> str:
        """Return the precision that this machine computes instead of the one requested.

        requested: a value of the option. "fast" is measured once on the CPU, at the width of the
        GPT; a format that is not available gives way to one with more bits. Other devices compute
        in bfloat16, or exactly.
        """
        if requested == EXACT or self.device.type != "cpu":
            return EXACT if requested in (EXACT, "float32") else "bfloat16"
        if requested == FAST:
            if FAST not in self.measured:
                width = self.bundle.config.architecture("gpt").model_dim
                formats = LINEAR_FORMATS if width >= MIN_INT8_WIDTH else LINEAR_FORMATS[:2]
                self.measured[FAST] = choose_fastest_format(width, MEASURED_ROWS, formats) or EXACT
            return self.measured[FAST]
        bits = LINEAR_FORMATS.index(cast(LinearFormat, requested))
        usable = (one for one in reversed(LINEAR_FORMATS[: bits + 1]) if is_format_available(one))
        return next(usable, EXACT)

    def is_cast(self, form: str) -> bool:
        """Return whether a form of a network has another type, not other layers."""
        return form == HALF or (form != EXACT and self.device.type != "cpu")

    def get_network(self, name: str, form: str = EXACT) -> nn.Module:
        """A network as it works: vocoders folded, and copies of its own in other precisions.

        form: "exact", "half", or a linear format. A packed network takes the place of the exact
        one, which is read again when it is needed.
        """
        if (name, form) in self.cache:
            return self.cache[name, form]
        network = getattr(self.bundle, name)
        if name in MEL_VOCODERS:
            network = prepare_for_inference(network)
            self.bundle.unload(name)
        if self.is_cast(form):
            network = deepcopy(network).to(self.half if form == HALF else torch.bfloat16)
        elif form != EXACT:
            network = pack_linears(network, cast(LinearFormat, form))
            self.cache.pop((name, EXACT), None)
            self.bundle.unload(name)
        self.cache[name, form] = network
        return network


@dataclass(frozen=True, kw_only=True, eq=False)
class ModelManager:
    """Device placement of a request; with `low_vram` only one network is on the device.

    precision: as `LoadedNetworks.resolve_precision` returns it.
    """

    networks: LoadedNetworks
    low_vram: bool
    half: bool
    report: ProgressReporter
    precision: str = EXACT

    @contextmanager
    def use(self, name: str, exact: bool = False) -> Iterator[Any]:
        """Move one network to the device, for inference.

        Any: the class of that network. With half precision, the GPT is a 16-bit copy, because of
        its many small steps, and CLVP and the diffusion network run in 16-bit autocast. With
        `exact` they do not. A precision other than exact takes the place of half precision.
        """
        form = EXACT if exact else self._choose_form(name)
        mixed = name in AUTOCAST_NETWORKS and self.networks.is_cast(form)
        with self.report.stage("load"):
            network = self.networks.get_network(name, EXACT if mixed else form)
            if self.low_vram:
                for other in self.networks.cache.values():
                    other.to("cpu")
            else:
                network.to(self.networks.device)
        device = self.networks.device
        dtype = self.networks.half if form == HALF else torch.bfloat16
        precision = torch.autocast(device.type, dtype) if mixed else nullcontext()
        with module_on_device(device, network), torch.inference_mode(), precision:
            yield network

    def _choose_form(self, name: str) -> str:
        """The form of a network that need not be exact."""
        if name not in PACKED_NETWORKS:
            return EXACT
        if self.precision == EXACT:
            return HALF if self.half else EXACT
        if self.precision == "int8" and name == "diffusion":  # noise of 8 bits would be audible
            return self.networks.resolve_precision("bfloat16")
        return self.precision
