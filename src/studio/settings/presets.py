"""Presets of one's own: named options, optionally with a voice, and a default for each voice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from core.errors import AppError, reraise_as_app_error, translate_write_errors
from core.files import write_text
from core.options import check_option_values
from core.paths import ProjectPaths, quote_for_message, validate_name
from core.serialization import from_dict, suggest_similar, to_dict
from core.yaml_io import dump_yaml, parse_yaml
from engines.registry import get_options_class
from studio.schemas.speech import OutputOptions, get_presets

# Any: each option has its own type.

MAX_FILE_BYTES = 1_000_000
UNSAVED_OPTIONS = ("seed",)
FORMAT = "testudo-presets"


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """options: of the engine;  delivery: of the output;  voice, bundle: "" leaves those alone."""

    engine: str
    options: Mapping[str, Any] = field(default_factory=dict)
    delivery: Mapping[str, Any] = field(default_factory=dict)
    voice: str = ""
    bundle: str = ""

    def __post_init__(self) -> None:
        check_option_values(get_options_class(self.engine), self.options)
        check_option_values(OutputOptions, self.delivery)


@dataclass(frozen=True, slots=True, kw_only=True)
class PresetFile:
    """presets.yaml.  presets: by name;  voices: the name of the default preset of a voice."""

    presets: Mapping[str, Preset] = field(default_factory=dict)
    voices: Mapping[str, str] = field(default_factory=dict)


def read_presets(layout: ProjectPaths) -> PresetFile:
    """Read the presets; none without a file.  Raises AppError for a file that cannot be used."""
    path = layout.presets_file
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return PresetFile()
    except (OSError, ValueError) as cause:
        raise AppError(f"Cannot read {path}: {cause}.", code="bad_settings") from cause
    return _parse(text, str(path))


def save_preset(layout: ProjectPaths, name: str, preset: Preset) -> None:
    """Save a preset; one of the same name is replaced.

    Raises AppError for a name that cannot be used or that a preset of the engine has.
    """
    name = check_preset_name(name, preset.engine)
    unsaved = {key: value for key, value in preset.options.items() if key not in UNSAVED_OPTIONS}
    preset = replace(preset, options=unsaved)
    file = read_presets(layout)
    _write(layout, replace(file, presets={**file.presets, name: preset}))


def delete_preset(layout: ProjectPaths, name: str) -> None:
    """Delete a preset; voices that had it as their default have none then."""
    file = read_presets(layout)
    find_preset(file, name)
    presets = {other: preset for other, preset in file.presets.items() if other != name}
    voices = {voice: chosen for voice, chosen in file.voices.items() if chosen != name}
    _write(layout, PresetFile(presets=presets, voices=voices))


def set_voice_preset(layout: ProjectPaths, voice: str, name: str) -> None:
    """Set the default preset of a voice; "" for none."""
    file = read_presets(layout)
    if name:
        find_preset(file, name)
    voices = {other: chosen for other, chosen in file.voices.items() if other != voice}
    _write(layout, replace(file, voices={**voices, voice: name} if name else voices))


def save_voice_speed(layout: ProjectPaths, voice: str, engine: str, speed: float) -> str:
    """Save a preset that is nothing but a speed, as the default of a voice; return its name."""
    presets = read_presets(layout).presets
    name = _find_free_name(f"{voice[:80]} pace", presets)
    save_preset(layout, name, Preset(engine=engine, options={"speed": speed}))
    set_voice_preset(layout, voice, name)
    return name


def find_preset(file: PresetFile, name: str) -> Preset:
    """Return a preset by its name.  Raises AppError naming the nearest."""
    if name not in file.presets:
        hint = suggest_similar(name, list(file.presets))
        raise AppError(f"There is no preset {quote_for_message(name)}.{hint}", code="bad_request")
    return file.presets[name]


def get_voice_preset(file: PresetFile, voice: str) -> Preset | None:
    """Return the default preset of a voice, None where it has none."""
    return file.presets.get(file.voices.get(voice, ""))


def export_presets(layout: ProjectPaths, names: Sequence[str] = ()) -> str:
    """Return presets as a file for others; without names all. The defaults of voices stay here."""
    file = read_presets(layout)
    chosen = {name: find_preset(file, name) for name in names} if names else dict(file.presets)
    if not chosen:
        raise AppError("There are no presets to export. Save one first.")
    return dump_yaml({"format": FORMAT, "presets": to_dict(chosen)})


def import_presets(layout: ProjectPaths, text: str) -> list[str]:
    """Add presets of an exported file; returns their names. Existing ones keep theirs.

    A name that is taken gets a number. Raises AppError, and adds nothing, for any other file.
    """
    added = _parse(text, "This file")
    if not added.presets:
        raise AppError("This file has no presets.", code="bad_request")
    file = read_presets(layout)
    presets, names = dict(file.presets), []
    for name, preset in added.presets.items():
        free = _find_free_name(check_preset_name(name, preset.engine), presets)
        presets[free] = preset
        names.append(free)
    _write(layout, replace(file, presets=presets))
    return names


def _find_free_name(name: str, presets: Mapping[str, Preset]) -> str:
    """Return a name, with a number where a preset has it already."""
    free, number = name, 1
    while free in presets:
        number += 1
        free = f"{name} ({number})"
    return free


def check_preset_name(name: str, engine: str) -> str:
    """Return a name that can be used, without spaces around it; else raise AppError."""
    name = validate_name(name.strip(), "preset")
    if name.casefold() in {one.casefold() for one in get_presets(get_options_class(engine))}:
        raise AppError(f"{name} is a preset of the engine. Choose another name.", code="name_taken")
    return name


def _parse(text: str, source: str) -> PresetFile:
    try:
        if len(text) > MAX_FILE_BYTES:
            raise ValueError(f"it is longer than {MAX_FILE_BYTES:,} characters")
        plain = parse_yaml(text) or {}
        if isinstance(plain, dict) and plain.pop("format", FORMAT) != FORMAT:
            raise ValueError(f"its format is not {FORMAT}")
        return from_dict(PresetFile, plain)
    except (ValueError, TypeError) as cause:
        raise AppError(
            f"{source} cannot be read as presets: {cause} Correct it or delete it.",
            code="bad_settings",
        ) from cause


def _write(layout: ProjectPaths, file: PresetFile) -> None:
    path = layout.presets_file
    with translate_write_errors(path), reraise_as_app_error(ValueError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, dump_yaml(to_dict(file)))
