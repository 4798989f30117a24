"""The start flags of ai-voice-cloning, so that start scripts written for it keep working."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

# Any: each setting has its own type.


def _integer(word: str) -> int:
    try:
        return int(word)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{word!r} is not a whole number") from None


def _number(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{word!r} is not a number") from None


def _model(word: str) -> str:
    if word.lower().endswith((".pth", ".pt")):
        raise argparse.ArgumentTypeError(
            f"{word!r} is a checkpoint file; run `testudo models import FOLDER` and give the "
            "name of the model"
        )
    return word


@dataclass(frozen=True, slots=True, kw_only=True)
class RenamedFlag:
    """A flag with the meaning of a setting.

    on, off: what --flag and --no-flag set, for a flag without a value;  read: parses the value of
    any other flag.
    """

    flag: str
    setting: str
    on: Any = None
    off: Any = None
    read: Callable[[str], Any] | None = None


RENAMED = (
    RenamedFlag(flag="--check-for-updates", setting="check_updates", on=True, off=False),
    RenamedFlag(flag="--models-from-local-only", setting="offline", on=True, off=False),
    RenamedFlag(flag="--embed-output-metadata", setting="embed", on=True, off=False),
    RenamedFlag(flag="--latents-lean-and-mean", setting="slim_latents", on=True, off=False),
    RenamedFlag(flag="--voice-fixer-use-cuda", setting="voice_fixer_device", on="cuda", off="cpu"),
    RenamedFlag(flag="--device-override", setting="device", read=str),
    RenamedFlag(flag="--concurrency-count", setting="concurrency", read=_integer),
    RenamedFlag(flag="--output-sample-rate", setting="output_rate", read=_integer),
    RenamedFlag(flag="--output-volume", setting="volume", read=_number),
    RenamedFlag(flag="--results-folder", setting="results", read=str),
    RenamedFlag(flag="--tts-backend", setting="engine", read=str),
    RenamedFlag(flag="--autoregressive-model", setting="bundle", read=_model),
    RenamedFlag(
        flag="--autocalculate-voice-chunk-duration-size", setting="voice_chunk_s", read=_number
    ),
)

_BUNDLED = "It is part of the model; choose a model with --bundle NAME."
_VOCODER = (
    "The vocoder is an option of the engine; choose it on the page, or write "
    "`options: {vocoder: NAME}` into settings.yaml."
)
_TRANSCRIBER = "It is chosen for each dataset, on the page or with `testudo prepare --transcriber`."
_PRECISION = "It is set for each training run, under `optimizer` in train.yaml."
_API = "The HTTP API replaces the websocket; it is served with the page, see /docs."
_RVC = "Retrieval-based voice conversion is not part of Testudo; finetune a model on the voice."

REPLACED: Mapping[str, str] = MappingProxyType(
    {
        "--voice-latent-max-chunk-size": "It counted bytes; use --voice-chunk-s SECONDS.",
        "--force-cpu-for-conditioning-latents": "Use --low-vram, or --voice-chunk-s SECONDS for "
        "less memory while latents are computed.",
        "--unsqueeze-sample-batches": "A batch that does not fit into memory is halved "
        "automatically; --sample-batch-size N sets its size.",
        "--defer-tts-load": "Models are always loaded with the first request.",
        "--prune-nonfinal-outputs": "The takes of single lines stay in the folder `.lines` beside "
        "the clip, so that a line can be regenerated.",
        "--use-deepspeed": "The engine's option half_precision saves time on a GPU; choose it "
        "on the page, or write `options: {half_precision: true}` into settings.yaml.",
        "--use-hifigan": _VOCODER,
        "--vocoder-model": _VOCODER,
        "--diffusion-model": _BUNDLED,
        "--tokenizer-json": _BUNDLED,
        "--phonemizer-backend": "Phonemes are looked up by Testudo itself; no backend is needed.",
        "--valle-model": "VALL-E is not part of Testudo; choose a model with --bundle NAME.",
        "--use-rvc": _RVC,
        "--rvc-model": _RVC,
        "--hf-token": "Set the environment variable HF_TOKEN, which no file records.",
        "--whisper-backend": _TRANSCRIBER,
        "--whisper-batchsize": "Whisper chooses its batches itself; --whisper-model NAME sets the "
        "model.",
        "--training-default-halfp": _PRECISION,
        "--training-default-bnb": _PRECISION,
        "--websocket-enabled": _API,
        "--websocket-listen-address": _API,
        "--websocket-listen-port": _API,
    }
)


class _Replaced(argparse.Action):
    """Remember that a replaced flag was given, whatever its value."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option: Any = None) -> None:
        namespace.replaced = [*namespace.replaced, option]


def add_start_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags; a renamed one is parsed into its setting, as the setting's own flag is."""
    parser.set_defaults(replaced=[])
    group = parser.add_argument_group("flags of ai-voice-cloning")
    for renamed in RENAMED:
        _add_renamed(group, renamed)
    for flag, told in REPLACED.items():
        group.add_argument(
            flag, nargs="?", action=_Replaced, dest="replaced", metavar="VALUE", help=told
        )


def replacement_notes(flags: Sequence[str]) -> list[str]:
    """Return one sentence for each replaced flag that was given."""
    return [f"{flag}: {REPLACED[flag]}" for flag in dict.fromkeys(flags)]


def _add_renamed(group: argparse._ArgumentGroup, renamed: RenamedFlag) -> None:
    told = f"same as --{renamed.setting.replace('_', '-')}"
    name, unset = renamed.setting, argparse.SUPPRESS
    if renamed.read is not None:
        group.add_argument(
            renamed.flag, dest=name, type=renamed.read, default=unset, metavar="X", help=told
        )
        return
    for flag, value in (
        (renamed.flag, renamed.on),
        (f"--no-{renamed.flag.removeprefix('--')}", renamed.off),
    ):
        group.add_argument(
            flag, dest=name, action="store_const", const=value, default=unset, help=told
        )
