"""What can be set once for all: every setting with its range, its help, and what it changes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, get_type_hints

from core.errors import InvalidValueError
from core.network_address import DEFAULT_HOST, DEFAULT_PORT, parse_address
from core.options import OptionField, OptionInfo, list_option_fields, validate_options
from core.paths import ProjectPaths
from engines.registry import get_options_class
from studio.schemas.speech import AUDIO_FORMATS, check_sample_rate, get_preset_options

# Any: each setting has its own type.

WHISPER_MODELS = ("tiny", "base", "small", "medium", "large-v3", "turbo")
ENGINE_OPTION_NAMES = ("low_vram", "sample_batch_size", "voice_chunk_s", "slim_latents")
"""Settings that are knobs of an engine, by the same name, where the engine has them."""
OUTPUT_OPTION_NAMES = ("format", "output_rate", "volume")
"""Settings that are knobs of the delivery, by the same name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingUiInfo:
    """What the page says of a setting. restart: takes effect at the next start of the studio."""

    group: str
    label: str
    restart: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingField:
    """One setting in place: its knob (type, range, help) and what the page says of it."""

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
    """What settings.yaml may hold; every entry has a default.

    options, delivery: further knobs by name, as `testudo speak --help` lists them; for experts,
    and only in the file. A knob there wins over the setting of the same name.
    """

    voice: Annotated[
        str,
        OptionInfo(help="The voice that speaks where none is named; empty: none"),
        SettingUiInfo(group=DEFAULTS_GROUP, label="Default Voice"),
    ] = ""
    bundle: Annotated[
        str,
        OptionInfo(
            help="The weights that speak where none are named; auto: the best finetune of the "
            "voice, else the starter"
        ),
        SettingUiInfo(group=DEFAULTS_GROUP, label="Default Model"),
    ] = "starter"
    preset: Annotated[
        str,
        OptionInfo(help="Ultra fast to high quality; empty: as the weights advise"),
        SettingUiInfo(group=DEFAULTS_GROUP, label="Default Preset"),
    ] = ""
    engine: Annotated[
        str,
        OptionInfo(help="What turns text into sound"),
        SettingUiInfo(group=DEFAULTS_GROUP, label="Engine"),
    ] = "tortoise"

    format: Annotated[
        str,
        OptionInfo(choices=AUDIO_FORMATS, help="The format of clips; wav and flac lose nothing"),
        SettingUiInfo(group=SOUND_GROUP, label="Output Format"),
    ] = "wav"
    output_rate: Annotated[
        int,
        OptionInfo(0, 192_000, 1, "Sample rate of clips; 0 keeps the engine's own (24,000)", "Hz"),
        SettingUiInfo(group=SOUND_GROUP, label="Output Sample Rate"),
    ] = 0
    volume: Annotated[
        float,
        OptionInfo(0.0, 4.0, 0.05, "How much louder clips are made; 1 leaves them", "x"),
        SettingUiInfo(group=SOUND_GROUP, label="Output Volume"),
    ] = 1.0
    voice_fixer: Annotated[
        bool,
        OptionInfo(help="Clean each clip with voicefixer, where that is installed"),
        SettingUiInfo(group=SOUND_GROUP, label="Voice Fixer"),
    ] = False
    voice_fixer_device: Annotated[
        str,
        OptionInfo(choices=("cpu", "cuda"), help="Where voicefixer computes; cpu spares the GPU"),
        SettingUiInfo(group=SOUND_GROUP, label="Voice Fixer Device"),
    ] = "cpu"

    device: Annotated[
        str,
        OptionInfo(help="Where networks run; auto takes the fastest that is found"),
        SettingUiInfo(group=SPEED_GROUP, label="Device Override"),
    ] = "auto"
    threads: Annotated[
        int,
        OptionInfo(0, 1024, 1, "How many cores of the processor to use; 0 for all"),
        SettingUiInfo(group=SPEED_GROUP, label="Processor Threads"),
    ] = 0
    low_vram: Annotated[
        bool,
        OptionInfo(help="Keep only the network that works on the GPU: for under 6 GB; slower"),
        SettingUiInfo(group=SPEED_GROUP, label="Low VRAM"),
    ] = False
    sample_batch_size: Annotated[
        int,
        OptionInfo(
            0, 1024, 1, "Drafts drawn at once; more is faster and takes memory; 0: what fits"
        ),
        SettingUiInfo(group=SPEED_GROUP, label="Sample Batch Size"),
    ] = 0
    voice_chunk_s: Annotated[
        float,
        OptionInfo(
            0.0,
            60.0,
            0.5,
            "Longest piece of a voice heard at once; lower it when memory "
            "runs out; 0: as the weights were trained",
            "s",
        ),
        SettingUiInfo(group=SPEED_GROUP, label="Voice Latent Max Chunk Size"),
    ] = 0.0
    slim_latents: Annotated[
        bool,
        OptionInfo(help="Store voices without the part that only CVVP Weight needs"),
        SettingUiInfo(group=SPEED_GROUP, label="Slimmer Computed Latents"),
    ] = False

    embed: Annotated[
        bool,
        OptionInfo(help="Write into each clip how it was spoken, so that it can be said again"),
        SettingUiInfo(group=FILES_GROUP, label="Embed Output Metadata"),
    ] = True
    embed_latents: Annotated[
        bool,
        OptionInfo(
            help="Write the voice into each clip too: whoever has the clip can use the voice"
        ),
        SettingUiInfo(group=FILES_GROUP, label="Embed Voice"),
    ] = False
    sidecar: Annotated[
        bool,
        OptionInfo(help="Write a JSON file with the same beside each clip"),
        SettingUiInfo(group=FILES_GROUP, label="Settings Beside Clips"),
    ] = False
    results: Annotated[
        str,
        OptionInfo(help="Where clips go"),
        SettingUiInfo(group=FILES_GROUP, label="Results Folder", restart=True),
    ] = "results"
    voices: Annotated[
        str,
        OptionInfo(help="Where voices lie"),
        SettingUiInfo(group=FILES_GROUP, label="Voices Folder", restart=True),
    ] = "voices"
    models: Annotated[
        str,
        OptionInfo(help="Where weights lie"),
        SettingUiInfo(group=FILES_GROUP, label="Models Folder", restart=True),
    ] = "models"

    offline: Annotated[
        bool,
        OptionInfo(help="Never fetch anything from the network"),
        SettingUiInfo(group=MODELS_GROUP, label="Only Load Models Locally"),
    ] = False
    whisper_model: Annotated[
        str,
        OptionInfo(
            choices=WHISPER_MODELS,
            help="What writes down what is said in clips: larger is better and slower",
        ),
        SettingUiInfo(group=MODELS_GROUP, label="Whisper Model"),
    ] = "base"
    check_updates: Annotated[
        bool,
        OptionInfo(
            help="Ask, when the page is opened, whether there is a newer version; only where "
            "Testudo was fetched with git"
        ),
        SettingUiInfo(group=MODELS_GROUP, label="Check for Updates"),
    ] = False

    listen: Annotated[
        str,
        OptionInfo(help="HOST:PORT/PATH of the page; 0.0.0.0 lets other machines in, with a login"),
        SettingUiInfo(group=PAGE_GROUP, label="Listen", restart=True),
    ] = f"{DEFAULT_HOST}:{DEFAULT_PORT}"
    share: Annotated[
        bool,
        OptionInfo(
            help="Make a public address for the page through Gradio's servers, with a login; "
            "not with a path in Listen"
        ),
        SettingUiInfo(group=PAGE_GROUP, label="Public Share Gradio", restart=True),
    ] = False
    concurrency: Annotated[
        int,
        OptionInfo(
            1, 64, 1, "How many actions of the page are answered at once; speaking does not count"
        ),
        SettingUiInfo(group=PAGE_GROUP, label="Concurrency Count", restart=True),
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
                raise ValueError(f"{name} is empty or no path; name a folder.")
        parse_address(self.listen)
        get_preset_options(get_options_class(self.engine), self.preset)

    @property
    def engine_options(self) -> Mapping[str, Any]:
        """The knobs of the engine that the settings turn; those it has, and only where turned."""
        defaults = get_default_settings()
        has = {knob.name for knob in list_option_fields(get_options_class(self.engine))}
        own = {name: getattr(self, name) for name in ENGINE_OPTION_NAMES if name in has}
        chosen = {name: value for name, value in own.items() if value != defaults[name]}
        return {**chosen, **self.options}

    @property
    def output_options(self) -> Mapping[str, Any]:
        """The knobs of the delivery that the settings turn."""
        return {name: getattr(self, name) for name in OUTPUT_OPTION_NAMES} | dict(self.delivery)


def list_setting_fields() -> list[SettingField]:
    """Return every setting that the page shows, in order."""
    hints = get_type_hints(Settings, include_extras=True)
    found = []
    for knob in list_option_fields(Settings):
        marks = getattr(hints[knob.name], "__metadata__", ())
        about = next(mark for mark in marks if isinstance(mark, SettingUiInfo))
        found.append(SettingField(field=knob, ui_info=about))
    return found


def get_default_settings() -> Mapping[str, Any]:
    """Return what each setting is where nobody says otherwise."""
    return MappingProxyType(
        {
            item.name: item.default
            for item in fields(Settings)
            if item.name not in ("options", "delivery")
        }
    )


def apply_folders(layout: ProjectPaths, settings: Settings) -> ProjectPaths:
    """Move the folders that the settings move."""
    return replace(
        layout,
        voices=_resolve_folder(layout.root, settings.voices),
        results=_resolve_folder(layout.root, settings.results),
        models=_resolve_folder(layout.root, settings.models),
    )


def _resolve_folder(root: Path, name: str) -> Path:
    return root / os.path.expandvars(Path(name).expanduser())
