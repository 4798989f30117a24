"""Suggest the field that was meant: one of another section, or another program's name for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, get_type_hints

from core.serialization import ValidationError, suggest_similar

# Any: plain data as written by the user.

FIELD_ALIASES: Mapping[str, str] = MappingProxyType(
    {
        alias: field
        for field, aliases in {
            "optimizer.rate": "lr learning_rate",
            "optimizer.weight_decay": "wd",
            "optimizer.batch": "batch_size",
            "optimizer.accumulate": "gradient_accumulation gradient_accumulation_size "
            "mega_batch_factor",
            "optimizer.clip": "grad_clip clip_grad_eps",
            "optimizer.text_weight": "text_lr_weight text_ce_lr_weight",
            "optimizer.mel_weight": "mel_lr_weight",
            "optimizer.precision": "half_precision half_p",
            "optimizer.eight_bit": "bitsandbytes",
            "schedule.steps": "epochs niter iterations max_steps",
            "schedule.gamma": "lr_gamma",
            "schedule.milestones": "learning_rate_schedule",
            "schedule.shape": "lr_scheme",
            "schedule.warm_up": "warmup warmup_steps",
            "checkpoints.every": "save_rate save_every save_checkpoint_freq val_freq",
            "machine.processes": "gpus",
            "weights.bundle": "model",
            "weights.frozen": "freeze",
            "weights.rank": "lora_rank",
        }.items()
        for alias in aliases.split()
    }
)
"""Names in other programs. Suggested, not accepted: their units differ (epochs are not steps)."""


def check_field_names(cls: type[Any], plain: Any) -> None:
    """Raise ValidationError for the first unknown section or field, naming the nearest one."""
    if not isinstance(plain, Mapping):
        raise ValidationError("The file must hold sections such as optimizer: and schedule:.")
    hints = get_type_hints(cls)
    sections = {item.name: [one.name for one in fields(hints[item.name])] for item in fields(cls)}
    for name, section in plain.items():
        unknown = [] if name in sections else [str(name)]
        if isinstance(section, Mapping) and not unknown:
            unknown = [f"{name}.{key}" for key in section if key not in sections[name]]
        if unknown:
            raise ValidationError(
                f"There is no {unknown[0]!r}.{_suggest_field(unknown[0], sections)}"
            )


def _suggest_field(written: str, sections: Mapping[str, list[str]]) -> str:
    """Return ' Did you mean ...?' or the known fields."""
    section, _, field = written.rpartition(".")
    keys = [f"{name}.{key}" for name, known in sections.items() for key in known]
    close = get_close_matches(section, sections, n=1)
    own = [f"{name}.{key}" for name in close for key in sections[name]]
    meant = [FIELD_ALIASES[field.lower()]] if field.lower() in FIELD_ALIASES else []
    meant = meant or [key for key in own if key.endswith(f".{field}")]
    meant = meant or [key for key in keys if key.endswith(f".{field}")]
    if meant:
        return f" Did you mean {' or '.join(map(repr, meant))}?"
    known = [f"{section}.{key}" for key in sections[section]] if section in sections else sections
    return suggest_similar(written, own or [*sections, *keys]) or f" There are: {', '.join(known)}."
