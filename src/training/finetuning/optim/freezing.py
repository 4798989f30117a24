"""Parts of the autoregressive network that do not learn, by their names in train.yaml."""

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
"""Part -> what the names of its parameters begin with; layers are counted."""


class NoTrainableParametersError(ValueError):
    """The choice leaves no parameter to learn."""


def freeze_parts(gpt: Gpt, parts: Iterable[str]) -> None:
    """Keep the named parts from learning.

    Raises ValueError for a layer that the network has not; NothingLearns where all is frozen.
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
            f"frozen names {', '.join(named)}, so nothing is left to learn. Take a part off it."
        )


def get_parameter_prefixes(part: str, layers: int) -> tuple[str, ...]:
    """What the names of a part's parameters begin with; layers: how many the network has."""
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
    """The parameters that learn."""
    return [parameter for parameter in module.parameters() if parameter.requires_grad]
