"""What can be set once for all: every setting with its range, its help, and what it changes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, get_type_hints

from engines.knobs import Knob, KnobField, check_knobs, knobs_of
from engines.registry import options_class
from studio.layout import Layout
from studio.results import FORMATS
from studio.serving import HOST, PORT, parse_address
from studio.speaking import check_rate, preset_values

# Any: each setting has its own type.

WHISPER_MODELS = ("tiny", "base", "small", "medium", "large-v3", "turbo")
ENGINE_KNOBS = ("low_vram", "sample_batch_size", "voice_chunk_s", "slim_latents")
"""Settings that are knobs of an engine, by the same name, where the engine has them."""
DELIVERY_KNOBS = ("format", "output_rate", "volume")
"""Settings that are knobs of the delivery, by the same name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What the page says of a setting. restart: takes effect at the next start of the studio."""

    group: str
    label: str
    restart: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingField:
    """One setting in place: its knob (type, range, help) and what the page says of it."""

    field: KnobField
    about: About

    @property
    def name(self) -> str:
        """The name in the file."""
        return self.field.name


SOUND, SPEED, FILES = "Sound", "Speed and memory", "Files"
MODELS, PAGE, HABITS = (
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
        Knob(help="The voice that speaks where none is named; empty: none"),
        About(group=HABITS, label="Default Voice"),
    ] = ""
    bundle: Annotated[
        str,
        Knob(
            help="The weights that speak where none are named; auto: the best finetune of the "
            "voice, else the starter"
        ),
        About(group=HABITS, label="Default Model"),
    ] = "starter"
    preset: Annotated[
        str,
        Knob(help="Ultra fast to high quality; empty: as the weights advise"),
        About(group=HABITS, label="Default Preset"),
    ] = ""
    engine: Annotated[
        str, Knob(help="What turns text into sound"), About(group=HABITS, label="Engine")
    ] = "tortoise"

    format: Annotated[
        str,
        Knob(choices=FORMATS, help="The format of clips; wav and flac lose nothing"),
        About(group=SOUND, label="Output Format"),
    ] = "wav"
    output_rate: Annotated[
        int,
        Knob(0, 192_000, 1, "Sample rate of clips; 0 keeps the engine's own (24,000)", "Hz"),
        About(group=SOUND, label="Output Sample Rate"),
    ] = 0
    volume: Annotated[
        float,
        Knob(0.0, 4.0, 0.05, "How much louder clips are made; 1 leaves them", "x"),
        About(group=SOUND, label="Output Volume"),
    ] = 1.0
    voice_fixer: Annotated[
        bool,
        Knob(help="Clean each clip with voicefixer, where that is installed"),
        About(group=SOUND, label="Voice Fixer"),
    ] = False
    voice_fixer_device: Annotated[
        str,
        Knob(choices=("cpu", "cuda"), help="Where voicefixer computes; cpu spares the GPU"),
        About(group=SOUND, label="Voice Fixer Device"),
    ] = "cpu"

    device: Annotated[
        str,
        Knob(help="Where networks run; auto takes the fastest that is found"),
        About(group=SPEED, label="Device Override"),
    ] = "auto"
    threads: Annotated[
        int,
        Knob(0, 1024, 1, "How many cores of the processor to use; 0 for all"),
        About(group=SPEED, label="Processor Threads"),
    ] = 0
    low_vram: Annotated[
        bool,
        Knob(help="Keep only the network that works on the GPU: for under 6 GB; slower"),
        About(group=SPEED, label="Low VRAM"),
    ] = False
    sample_batch_size: Annotated[
        int,
        Knob(0, 1024, 1, "Drafts drawn at once; more is faster and takes memory; 0: what fits"),
        About(group=SPEED, label="Sample Batch Size"),
    ] = 0
    voice_chunk_s: Annotated[
        float,
        Knob(
            0.0,
            60.0,
            0.5,
            "Longest piece of a voice heard at once; lower it when memory "
            "runs out; 0: as the weights were trained",
            "s",
        ),
        About(group=SPEED, label="Voice Latent Max Chunk Size"),
    ] = 0.0
    slim_latents: Annotated[
        bool,
        Knob(help="Store voices without the part that only CVVP Weight needs"),
        About(group=SPEED, label="Slimmer Computed Latents"),
    ] = False

    embed: Annotated[
        bool,
        Knob(help="Write into each clip how it was spoken, so that it can be said again"),
        About(group=FILES, label="Embed Output Metadata"),
    ] = True
    embed_latents: Annotated[
        bool,
        Knob(help="Write the voice into each clip too: whoever has the clip can use the voice"),
        About(group=FILES, label="Embed Voice"),
    ] = False
    sidecar: Annotated[
        bool,
        Knob(help="Write a JSON file with the same beside each clip"),
        About(group=FILES, label="Settings Beside Clips"),
    ] = False
    results: Annotated[
        str, Knob(help="Where clips go"), About(group=FILES, label="Results Folder", restart=True)
    ] = "results"
    voices: Annotated[
        str, Knob(help="Where voices lie"), About(group=FILES, label="Voices Folder", restart=True)
    ] = "voices"
    models: Annotated[
        str, Knob(help="Where weights lie"), About(group=FILES, label="Models Folder", restart=True)
    ] = "models"

    offline: Annotated[
        bool,
        Knob(help="Never fetch anything from the network"),
        About(group=MODELS, label="Only Load Models Locally"),
    ] = False
    whisper_model: Annotated[
        str,
        Knob(
            choices=WHISPER_MODELS,
            help="What writes down what is said in clips: larger is better and slower",
        ),
        About(group=MODELS, label="Whisper Model"),
    ] = "base"
    check_updates: Annotated[
        bool,
        Knob(
            help="Ask, when the page is opened, whether there is a newer version; only where "
            "Testudo was fetched with git"
        ),
        About(group=MODELS, label="Check for Updates"),
    ] = False

    listen: Annotated[
        str,
        Knob(help="HOST:PORT/PATH of the page; 0.0.0.0 lets other machines in, with a login"),
        About(group=PAGE, label="Listen", restart=True),
    ] = f"{HOST}:{PORT}"
    share: Annotated[
        bool,
        Knob(
            help="Make a public address for the page through Gradio's servers, with a login; "
            "not with a path in Listen"
        ),
        About(group=PAGE, label="Public Share Gradio", restart=True),
    ] = False
    concurrency: Annotated[
        int,
        Knob(
            1, 64, 1, "How many actions of the page are answered at once; speaking does not count"
        ),
        About(group=PAGE, label="Concurrency Count", restart=True),
    ] = 8

    options: Mapping[str, Any] = field(default_factory=dict)
    delivery: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_knobs(self)
        check_rate(self.output_rate, self.format)
        if 0 < self.voice_chunk_s < 0.5:
            raise ValueError(
                f"voice_chunk_s is {self.voice_chunk_s}; it must be 0 or from 0.5 to 60 s."
            )
        for name in ("results", "voices", "models"):
            if not getattr(self, name).strip() or "\0" in getattr(self, name):
                raise ValueError(f"{name} is empty or no path; name a folder.")
        parse_address(self.listen)
        preset_values(options_class(self.engine), self.preset)

    @property
    def turned(self) -> Mapping[str, Any]:
        """The knobs of the engine that the settings turn; those it has, and only where turned."""
        defaults = defaults_of_settings()
        has = {knob.name for knob in knobs_of(options_class(self.engine))}
        own = {name: getattr(self, name) for name in ENGINE_KNOBS if name in has}
        chosen = {name: value for name, value in own.items() if value != defaults[name]}
        return {**chosen, **self.options}

    @property
    def delivered(self) -> Mapping[str, Any]:
        """The knobs of the delivery that the settings turn."""
        return {name: getattr(self, name) for name in DELIVERY_KNOBS} | dict(self.delivery)


def fields_of_settings() -> list[SettingField]:
    """Return every setting that the page shows, in order."""
    hints = get_type_hints(Settings, include_extras=True)
    found = []
    for knob in knobs_of(Settings):
        marks = getattr(hints[knob.name], "__metadata__", ())
        about = next(mark for mark in marks if isinstance(mark, About))
        found.append(SettingField(field=knob, about=about))
    return found


def defaults_of_settings() -> Mapping[str, Any]:
    """Return what each setting is where nobody says otherwise."""
    return MappingProxyType(
        {
            item.name: item.default
            for item in fields(Settings)
            if item.name not in ("options", "delivery")
        }
    )


def apply_folders(layout: Layout, settings: Settings) -> Layout:
    """Move the folders that the settings move."""
    return replace(
        layout,
        voices=_folder(layout.root, settings.voices),
        results=_folder(layout.root, settings.results),
        models=_folder(layout.root, settings.models),
    )


def _folder(root: Path, name: str) -> Path:
    return root / os.path.expandvars(Path(name).expanduser())
