"""Finding the field that somebody meant: in another section, or under another program's name.

Light.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, get_type_hints

from core.serialization import ValidationError, suggest_similar

# Any: plain data as somebody wrote it.

FIELD_ALIASES: Mapping[str, str] = MappingProxyType(
    {
        "lr": "optimizer.rate",
        "learning_rate": "optimizer.rate",
        "wd": "optimizer.weight_decay",
        "batch_size": "optimizer.batch",
        "gradient_accumulation": "optimizer.accumulate",
        "gradient_accumulation_size": "optimizer.accumulate",
        "mega_batch_factor": "optimizer.accumulate",
        "grad_clip": "optimizer.clip",
        "clip_grad_eps": "optimizer.clip",
        "text_lr_weight": "optimizer.text_weight",
        "text_ce_lr_weight": "optimizer.text_weight",
        "mel_lr_weight": "optimizer.mel_weight",
        "half_precision": "optimizer.precision",
        "half_p": "optimizer.precision",
        "bitsandbytes": "optimizer.eight_bit",
        "epochs": "schedule.steps",
        "niter": "schedule.steps",
        "iterations": "schedule.steps",
        "max_steps": "schedule.steps",
        "lr_gamma": "schedule.gamma",
        "learning_rate_schedule": "schedule.milestones",
        "lr_scheme": "schedule.shape",
        "warmup": "schedule.warm_up",
        "warmup_steps": "schedule.warm_up",
        "save_rate": "checkpoints.every",
        "save_every": "checkpoints.every",
        "save_checkpoint_freq": "checkpoints.every",
        "val_freq": "checkpoints.every",
        "gpus": "machine.processes",
        "model": "weights.bundle",
        "freeze": "weights.frozen",
        "lora_rank": "weights.rank",
    }
)
"""What other programs call our fields."""


def check_field_names(cls: type[Any], plain: Any) -> None:
    """Raise PlainError for the first unknown section or field, naming the nearest right one."""
    if not isinstance(plain, Mapping):
        raise ValidationError("The file must hold sections such as optimizer: and schedule:.")
    sections = list_section_fields(cls)
    for name, section in plain.items():
        if name not in sections:
            raise ValidationError(
                f"There is no {str(name)!r}.{_suggest_field(str(name), sections)}"
            )
        for key in section if isinstance(section, Mapping) else ():
            if key not in sections[name]:
                where = f"{name}.{key}"
                raise ValidationError(f"There is no {where!r}.{_suggest_field(where, sections)}")


def list_section_fields(cls: type[Any]) -> dict[str, list[str]]:
    """Return the sections of a configuration, each with the names of its fields."""
    hints = get_type_hints(cls)
    return {item.name: [inner.name for inner in fields(hints[item.name])] for item in fields(cls)}


def _suggest_field(written: str, sections: Mapping[str, list[str]]) -> str:
    """Return ' Did you mean ...?' or what there is."""
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
