"""The settings: type, range, default, help and label of each."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, get_type_hints
from urllib.parse import urlsplit

from core.errors import InvalidValueError
from core.network_address import DEFAULT_HOST, DEFAULT_PORT, parse_address
from core.options import (
    OptionField,
    OptionInfo,
    check_option_values,
    list_option_fields,
    validate_options,
)
from core.paths import ProjectPaths, parse_path
from engines.registry import get_options_class
from studio.schemas.speech import (
    AUDIO_FORMATS,
    OutputOptions,
    check_sample_rate,
    get_preset_options,
)

# Any: each setting has its own type.

WHISPER_MODELS = ("tiny", "base", "small", "medium", "large-v3", "turbo")
ENGINE_OPTION_NAMES = ("low_vram", "sample_batch_size", "voice_chunk_s", "slim_latents")
"""Settings that set the engine option of the same name, if the engine has it."""
OUTPUT_OPTION_NAMES = ("format", "output_rate", "volume")
"""Settings that set the output option of the same name."""
OPTION_TABLES = ("options", "delivery")
"""Entries that are tables of further options."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingUiInfo:
    """Presentation of a setting on the page. restart: takes effect at the next start.

    common: usual values of a number whose 0 stands for something else, to choose from.
    """

    group: str
    label: str
    restart: bool = False
    common: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingField:
    """One setting: its option (type, range, help) and how the page shows it."""

    field: OptionField
    ui_info: SettingUiInfo

    @property
    def name(self) -> str:
        """The name in the file."""
        return self.field.name


SOUND_GROUP, SPEED_GROUP, FILES_GROUP = "Sound", "Speed and memory", "Files"
MODELS_GROUP, PAGE_GROUP, DEFAULTS_GROUP = (
    "Models and network",
    "Page and server",
    "Defaults",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The schema of settings.yaml; every entry has a default.

    options, delivery: further options by name, as `testudo speak --help` lists them; only in the
    file. An option there wins over the setting of the same name.
    """

    voice: Annotated[
        str,
        OptionInfo(help="Voice used where none is given; empty: none"),
        SettingUiInfo(group=DEFAULTS_GROUP, label="Default Voice"),
    ] = ""
    bundle: Annotated[
        str,
        OptionInfo(
            help="Model used where none is given; auto: the best finetuned model of the voice, "
            "else the starter"
        ),
        SettingUiInfo(group=DEFAULTS_GROUP, label="Default Model"),
    ] = "starter"
    preset: Annotated[
        str,
        OptionInfo(help="Quality vs. speed; empty: the model's default"),
        SettingUiInfo(group=DEFAULTS_GROUP, label="Default Preset"),
    ] = ""
    engine: Annotated[
        str,
        OptionInfo(help="Speech synthesis engine"),
        SettingUiInfo(group=DEFAULTS_GROUP, label="Engine"),
    ] = "tortoise"

    format: Annotated[
        str,
        OptionInfo(choices=AUDIO_FORMATS, help="File format of clips; wav and flac are lossless"),
        SettingUiInfo(group=SOUND_GROUP, label="Output Format"),
    ] = "wav"
    output_rate: Annotated[
        int,
        OptionInfo(0, 192_000, 1, "Sample rate of clips; 0: that of the engine (24,000)", "Hz"),
        SettingUiInfo(
            group=SOUND_GROUP,
            label="Output Sample Rate",
            common=(8_000, 16_000, 22_050, 24_000, 44_100, 48_000),
        ),
    ] = 0
    volume: Annotated[
        float,
        OptionInfo(0.0, 4.0, 0.05, "Gain applied to clips; 1: unchanged", "x"),
        SettingUiInfo(group=SOUND_GROUP, label="Output Volume"),
    ] = 1.0
    voice_fixer: Annotated[
        bool,
        OptionInfo(help="Clean each clip with voicefixer, if installed"),
        SettingUiInfo(group=SOUND_GROUP, label="Voice Fixer"),
    ] = False
    voice_fixer_device: Annotated[
        str,
        OptionInfo(choices=("cpu", "cuda"), help="Device of voicefixer; cpu saves GPU memory"),
        SettingUiInfo(group=SOUND_GROUP, label="Voice Fixer Device"),
    ] = "cpu"

    device: Annotated[
        str,
        OptionInfo(help="Device of the models; auto: the fastest available"),
        SettingUiInfo(group=SPEED_GROUP, label="Device Override"),
    ] = "auto"
    threads: Annotated[
        int,
        OptionInfo(0, 1024, 1, "CPU threads; 0: all cores"),
        SettingUiInfo(group=SPEED_GROUP, label="CPU Threads", common=(1, 2, 4, 8, 16)),
    ] = 0
    low_vram: Annotated[
        bool,
        OptionInfo(help="Offload idle models to save VRAM (under 6 GB); slower"),
        SettingUiInfo(group=SPEED_GROUP, label="Low VRAM"),
    ] = False
    sample_batch_size: Annotated[
        int,
        OptionInfo(
            0, 1024, 1, "Candidates sampled at once; more is faster and takes memory; 0: automatic"
        ),
        SettingUiInfo(group=SPEED_GROUP, label="Sample Batch Size", common=(1, 2, 4, 8, 16)),
    ] = 0
    voice_chunk_s: Annotated[
        float,
        OptionInfo(
            0.0,
            60.0,
            0.5,
            "Maximum length of a reference chunk; lower it if memory runs out; 0: as trained",
            "s",
        ),
        SettingUiInfo(group=SPEED_GROUP, label="Max Reference Chunk", common=(5.0, 10.0, 20.0)),
    ] = 0.0
    slim_latents: Annotated[
        bool,
        OptionInfo(help="Smaller voice cache: omit the part that only CVVP Weight uses"),
        SettingUiInfo(group=SPEED_GROUP, label="Smaller Voice Cache"),
    ] = False

    embed: Annotated[
        bool,
        OptionInfo(help="Embed the settings in each clip, so that it can be reproduced"),
        SettingUiInfo(group=FILES_GROUP, label="Embed Output Metadata"),
    ] = True
    embed_latents: Annotated[
        bool,
        OptionInfo(
            help="Embed the voice latents in each clip: anyone with the clip can use the voice"
        ),
        SettingUiInfo(group=FILES_GROUP, label="Embed Voice"),
    ] = False
    sidecar: Annotated[
        bool,
        OptionInfo(help="Write the settings to a JSON file beside each clip"),
        SettingUiInfo(group=FILES_GROUP, label="Save JSON Sidecar"),
    ] = False
    results: Annotated[
        str,
        OptionInfo(help="Output folder"),
        SettingUiInfo(group=FILES_GROUP, label="Output Folder", restart=True),
    ] = "results"
    voices: Annotated[
        str,
        OptionInfo(help="Folder of the voices"),
        SettingUiInfo(group=FILES_GROUP, label="Voices Folder", restart=True),
    ] = "voices"
    models: Annotated[
        str,
        OptionInfo(help="Folder of the models"),
        SettingUiInfo(group=FILES_GROUP, label="Models Folder", restart=True),
    ] = "models"

    offline: Annotated[
        bool,
        OptionInfo(help="Never download anything"),
        SettingUiInfo(group=MODELS_GROUP, label="Only Load Models Locally"),
    ] = False
    mirror: Annotated[
        str,
        OptionInfo(
            help="Address that is asked in place of huggingface.co for downloads, such as "
            "https://hub.example.org; empty: huggingface.co"
        ),
        SettingUiInfo(group=MODELS_GROUP, label="Mirror for Downloads"),
    ] = ""
    whisper_model: Annotated[
        str,
        OptionInfo(
            choices=WHISPER_MODELS,
            help="Whisper model for transcription: larger is better and slower",
        ),
        SettingUiInfo(group=MODELS_GROUP, label="Whisper Model"),
    ] = "base"
    check_updates: Annotated[
        bool,
        OptionInfo(
            help="Check for a newer version when the page is opened; only in a git checkout"
        ),
        SettingUiInfo(group=MODELS_GROUP, label="Check for Updates"),
    ] = False

    language: Annotated[
        str,
        OptionInfo(
            help="Language of the page, such as de; auto: that of the browser. "
            "Applies when the page is loaded again"
        ),
        SettingUiInfo(group=PAGE_GROUP, label="Language"),
    ] = "auto"
    openai_voices: Annotated[
        str,
        OptionInfo(
            help="Voices that OpenAI's names stand for at /v1/audio/speech: alloy=alice, echo=bob"
        ),
        SettingUiInfo(group=PAGE_GROUP, label="OpenAI Voice Names"),
    ] = ""
    listen: Annotated[
        str,
        OptionInfo(help="HOST:PORT/PATH of the page; 0.0.0.0 accepts other machines, with a login"),
        SettingUiInfo(group=PAGE_GROUP, label="Listen", restart=True),
    ] = f"{DEFAULT_HOST}:{DEFAULT_PORT}"
    share: Annotated[
        bool,
        OptionInfo(
            help="Create a public link through Gradio's servers, with a login; "
            "not with a path in Listen"
        ),
        SettingUiInfo(group=PAGE_GROUP, label="Public Gradio Link", restart=True),
    ] = False
    concurrency: Annotated[
        int,
        OptionInfo(1, 64, 1, "Max concurrent UI requests; speech synthesis does not count"),
        SettingUiInfo(group=PAGE_GROUP, label="Max Concurrent UI Requests", restart=True),
    ] = 8

    options: Mapping[str, Any] = field(default_factory=dict)
    delivery: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        validate_options(self)
        check_sample_rate(self.output_rate, self.format)
        if 0 < self.voice_chunk_s < 0.5:
            raise InvalidValueError(
                f"voice_chunk_s is {self.voice_chunk_s}; it must be 0 or from 0.5 to 60 s."
            )
        for name in ("results", "voices", "models"):
            if not getattr(self, name).strip() or "\0" in getattr(self, name):
                raise ValueError(f"{name} is empty or not a path; give a folder.")
        parse_address(self.listen)
        parse_voice_names(self.openai_voices)
        check_mirror(self.mirror)
        check_language(self.language)
        engine = get_options_class(self.engine)
        get_preset_options(engine, self.preset)
        check_option_values(engine, self.options)
        check_option_values(OutputOptions, self.delivery)

    @property
    def engine_options(self) -> Mapping[str, Any]:
        """Engine options that the settings change from the default, of those the engine has."""
        defaults = get_default_settings()
        has = {option.name for option in list_option_fields(get_options_class(self.engine))}
        own = {name: getattr(self, name) for name in ENGINE_OPTION_NAMES if name in has}
        chosen = {name: value for name, value in own.items() if value != defaults[name]}
        return {**chosen, **self.options}

    @property
    def output_options(self) -> Mapping[str, Any]:
        """Output options that the settings set."""
        return {name: getattr(self, name) for name in OUTPUT_OPTION_NAMES} | dict(self.delivery)


def check_mirror(address: str) -> None:
    """Raise ValueError for an address that is no mirror of the hub; "" is none at all."""
    parts = urlsplit(address)
    is_address = parts.scheme in ("http", "https") and bool(parts.hostname)
    if address and (not is_address or parts.username or parts.query or address.endswith("/")):
        raise InvalidValueError(
            f"mirror is {address!r}; give an address such as https://hub.example.org, without a "
            "login and without a slash at its end."
        )


def check_language(language: str) -> None:
    """Raise ValueError for what is neither "auto" nor the code of a language."""
    if not re.fullmatch(r"auto|[a-z]{2,3}", language):
        raise InvalidValueError(
            f"language is {language!r}; it must be auto, en, de or another code."
        )


def parse_voice_names(text: str) -> Mapping[str, str]:
    """Parse NAME=VOICE, NAME=VOICE.  Raises ValueError for anything else."""
    pairs = [pair.partition("=") for pair in text.split(",") if pair.strip()]
    names = {name.strip(): voice.strip() for name, _, voice in pairs}
    if len(names) < len(pairs) or not all([*names, *names.values()]):
        raise InvalidValueError(
            f"openai_voices is {text!r}; write it as alloy=alice, echo=bob, each name once."
        )
    return names


def list_setting_fields() -> list[SettingField]:
    """Return every setting that the page shows, in order."""
    hints = get_type_hints(Settings, include_extras=True)
    found = []
    for option in list_option_fields(Settings):
        marks = getattr(hints[option.name], "__metadata__", ())
        about = next(mark for mark in marks if isinstance(mark, SettingUiInfo))
        found.append(SettingField(field=option, ui_info=about))
    return found


def get_default_settings() -> Mapping[str, Any]:
    """Return the default of each setting."""
    return MappingProxyType(
        {item.name: item.default for item in fields(Settings) if item.name not in OPTION_TABLES}
    )


def apply_folders(layout: ProjectPaths, settings: Settings) -> ProjectPaths:
    """Return the project paths with the folders that the settings name."""
    return replace(
        layout,
        voices=_resolve_folder(layout.root, settings.voices),
        results=_resolve_folder(layout.root, settings.results),
        models=_resolve_folder(layout.root, settings.models),
    )


def _resolve_folder(root: Path, name: str) -> Path:
    return root / os.path.expandvars(parse_path(name))
