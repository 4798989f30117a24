"""The start flags of ai-voice-cloning, so that start scripts written for it keep working."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated

import typer

from studio.settings.store import SECRET_ENV_VARS

RENAMED: Mapping[str, str] = MappingProxyType(
    {
        "--check-for-updates": "check_updates",
        "--models-from-local-only": "offline",
        "--embed-output-metadata": "embed",
        "--latents-lean-and-mean": "slim_latents",
        "--device-override": "device",
        "--concurrency-count": "concurrency",
        "--output-sample-rate": "output_rate",
        "--output-volume": "volume",
        "--results-folder": "results",
        "--tts-backend": "engine",
        "--autoregressive-model": "bundle",
        "--autocalculate-voice-chunk-duration-size": "voice_chunk_s",
    }
)
"""Flags that set a setting."""

_BUNDLED = "It is part of the model; choose one with --bundle NAME."
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
        "--hf-token": "Set the environment variable HF_TOKEN, which is not stored in a file.",
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


@dataclass(frozen=True, slots=True, kw_only=True)
class StartFlags:
    """The flags of app.py beside the settings."""

    login: Annotated[
        str,
        typer.Option(
            metavar="USER:PASSWORD",
            help=f"Require this login; {SECRET_ENV_VARS['login']} hides it from other programs; "
            f"API clients may send {SECRET_ENV_VARS['api_key']} instead.",
        ),
    ] = ""
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="Additional host name, such as behind a proxy; repeatable."
        ),
    ] = None
    trust_proxy: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ADDRESS",
            help="Address of a proxy whose X-Forwarded-For is believed when failed logins are "
            "counted, such as 127.0.0.1; repeatable.",
        ),
    ] = None
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Open no browser.")] = False
    list_devices: Annotated[
        bool, typer.Option("--list-devices", help="Print the values of --device here, and exit.")
    ] = False
    voice_fixer_use_cuda: Annotated[
        bool | None,
        typer.Option(
            "--voice-fixer-use-cuda/--no-voice-fixer-use-cuda",
            help="Same as --voice-fixer-device cuda or cpu.",
        ),
    ] = None


def list_aliases(setting: str) -> list[str]:
    """Return the flags of ai-voice-cloning that set a setting."""
    return [flag for flag, name in RENAMED.items() if name == setting]


def take_replaced_flags(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Split replaced flags, with their values, off the arguments.

    Returns the other arguments, and one sentence for each replaced flag.
    """
    rest: list[str] = []
    found: dict[str, None] = {}
    is_value = False
    for word in arguments:
        flag, equals, _ = word.partition("=")
        if flag in REPLACED:
            found[flag] = None
        elif not is_value or word.startswith("-"):
            rest.append(word)
        is_value = flag in REPLACED and not equals
    return rest, [f"{flag}: {REPLACED[flag]}" for flag in found]


def format_replaced_flags() -> str:
    """Return the help of the replaced flags."""
    lines = [f"  {flag}  {advice}" for flag, advice in REPLACED.items()]
    return "\b\n" + "\n".join(["Flags of ai-voice-cloning that have no effect:", *lines])
