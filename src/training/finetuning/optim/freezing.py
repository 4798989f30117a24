"""Freeze parts of the GPT by their names in train.yaml."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch import nn

from tortoise.modules.gpt import Gpt
from training.finetuning.config.schema import parse_layer_range

PARAMETER_PREFIXES: Mapping[str, tuple[str, ...]] = {
    "text": ("text_embedding.", "text_pos_embedding."),
    "conditioning": ("conditioning_encoder.",),
    "codes": ("mel_embedding.", "mel_pos_embedding."),
    "heads": ("text_head.", "mel_head.", "final_norm."),
}
"""Part -> prefixes of its parameter names; layers are named by number."""


class NoTrainableParametersError(ValueError):
    """All parameters are frozen."""


def freeze_parts(gpt: Gpt, parts: Iterable[str]) -> None:
    """Freeze the named parts.

    Raises ValueError for a layer that does not exist, NoTrainableParametersError where all is
    frozen.
    """
    named = tuple(parts)
    prefixes = tuple(
        prefix for part in named for prefix in get_parameter_prefixes(part, gpt.config.layers)
    )
    for name, parameter in gpt.named_parameters():
        if name.startswith(prefixes):
            parameter.requires_grad_(False)
    if not any(parameter.requires_grad for parameter in gpt.parameters()):
        raise NoTrainableParametersError(
            f"frozen names {', '.join(named)}, so nothing is left to train. Remove a part from it."
        )


def get_parameter_prefixes(part: str, layers: int) -> tuple[str, ...]:
    """Return the prefixes of a part's parameter names.  layers: of the network."""
    if part in PARAMETER_PREFIXES:
        return PARAMETER_PREFIXES[part]
    numbers = parse_layer_range(part)
    if numbers and numbers[-1] >= layers:
        raise ValueError(
            f"frozen names {part!r}, but the network has the layers 0 to {layers - 1}. "
            f"Write 'layers 0-{layers - 1}' at most."
        )
    return tuple(f"gpt.h.{number}." for number in numbers)


def get_trainable_parameters(module: nn.Module) -> list[nn.Parameter]:
    """Return the parameters that are not frozen."""
    return [parameter for parameter in module.parameters() if parameter.requires_grad]
