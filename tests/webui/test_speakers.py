"""Speakers on Generate: a field for each name, and a colour for each voice in the lines editor."""

from __future__ import annotations

import colorsys
import re
from pathlib import Path

import gradio as gr
import pytest

from core.errors import AppError
from studio.app.studio import Studio
from studio.synthesis.line_takes import read_line_takes
from studio.synthesis.output_paths import OutputPath
from studio.synthesis.request_builder import SpeechRequestInput, build_request
from studio.voices.speakers import read_speakers
from webui.components.job_card import job_card_html
from webui.components.line_editor import SPEAKER_HUES, build_editor_lines
from webui.components.theme import ASSETS
from webui.generate.speakers import MAX_SHOWN, SpeakerFields
from webui.generate.tab import GenerateTab

SCRIPT = "Ida: Good evening.\nvera: Hello.\n\nIda: Fine."
SCRIPT_NAMES = ("Ida", "Vera")


@pytest.fixture
def tab(studio: Studio) -> GenerateTab:
    with gr.Blocks():
        return GenerateTab(studio)


def test_a_field_is_shown_for_each_speaker_and_its_voice_is_kept(
    studio: Studio, tab: GenerateTab
) -> None:
    fields: SpeakerFields = tab.speakers
    assert fields.get_updates("One text.")[fields.group]["visible"] is False
    shown = fields.get_updates("Ida: One.\nVera: Two.")
    assert shown[fields.group]["visible"] is True and shown[fields.names] == SCRIPT_NAMES
    first, second, third = (shown[field] for field in fields.fields[:3])
    assert (first["label"], first["value"]) == ("Ida", "")
    assert (second["label"], second["value"]) == ("Vera", "vera")
    assert third["visible"] is False
    fields.save(tab.message, SCRIPT_NAMES, "Anna", "", *[None] * (MAX_SHOWN - 2))
    assert read_speakers(studio.layout) == {"Ida": "Anna", "Vera": ""}
    again = fields.get_updates("IDA: One.\nIda: Two.")
    assert again[fields.fields[0]]["value"] == "Anna"
    with pytest.raises(AppError, match="no voice 'nobody'"):
        fields.save(tab.message, SCRIPT_NAMES, "nobody")


def test_more_speakers_than_fields_are_named(tab: GenerateTab) -> None:
    text = "\n".join(f"Speaker {letter}: Hi." for letter in "ABCDEFGHIJ")
    shown = tab.speakers.get_updates(text)
    assert "Speaker I, Speaker J" in shown[tab.speakers.more]["value"]


def test_a_dropped_script_fills_the_text_and_names_its_speakers(
    tab: GenerateTab, tmp_path: Path
) -> None:
    file = tmp_path / "scene.txt"
    file.write_bytes("Ida: Schön.\r\nVera: Ja.".encode("utf-16"))
    shown = tab.drop.load_clip(str(file), tab.form, tab.message)
    assert shown[tab.form.controls["text"]] == "Ida: Schön.\nVera: Ja."
    assert "Its speakers: Ida, Vera." in shown[tab.message]
    for data, told in ((b"", "text is empty"), (b"\x00\x01\x00", "not a text file")):
        file.write_bytes(data)
        assert told in tab.drop.load_clip(str(file), tab.form, tab.message)[tab.message]


def test_each_voice_has_a_colour_and_a_name_in_the_lines_editor(studio: Studio) -> None:
    given = SpeechRequestInput(
        text="Ida: Good evening.\nvera: Hello.\nIda: Fine.",
        voice="vera",
        request_fields={"speaker_voices": {"Ida": "Anna"}},
    )
    job = studio.submit(build_request(studio.settings, given, studio.layout))
    job = studio.wait(job.id, 30)
    assert job.state == "done" and job.result is not None
    lines = read_line_takes(OutputPath(clip_path=Path(str(job.result["path"]))))
    assert lines is not None
    rows = build_editor_lines(lines)
    assert [row.speaker for row in rows] == ["Ida (Anna)", "vera", "Ida (Anna)"]
    assert [row.hue for row in rows] == [SPEAKER_HUES[0], SPEAKER_HUES[1], SPEAKER_HUES[0]]
    html = job_card_html(job, studio.layout)
    assert html.count('class="speaker">Ida (Anna)</span>') == 2


def test_a_clip_of_one_voice_has_no_colours(studio: Studio) -> None:
    given = SpeechRequestInput(text="One.\nTwo.", voice="vera", delivery={"delimiter": "\\n"})
    job = studio.wait(studio.submit(build_request(studio.settings, given, studio.layout)).id, 30)
    assert job.result is not None
    lines = read_line_takes(OutputPath(clip_path=Path(str(job.result["path"]))))
    assert lines is not None and {row.hue for row in build_editor_lines(lines)} == {None}


@pytest.mark.parametrize("theme", ["", ".dark "])
def test_the_names_are_readable_in_every_colour_and_theme(theme: str) -> None:
    css = (ASSETS / "studio.css").read_text(encoding="utf-8")
    found = re.search(rf"^{re.escape(theme)}\.line \.speaker \{{(.*)\}}$", css, re.MULTILINE)
    assert found is not None
    for hue in SPEAKER_HUES:
        text, ground = (
            _get_luminance(hue, *map(float, shares))
            for name in ("color", "background")
            for shares in re.findall(
                rf"[ {{]{name}: hsl\(var\(--hue\) (\d+)% (\d+)%\)", f" {found[1]}"
            )
        )
        light, dark = max(text, ground), min(text, ground)
        assert (light + 0.05) / (dark + 0.05) >= 7  # AAA; AA asks for 4.5


def _get_luminance(hue: float, saturation: float, lightness: float) -> float:
    """Return the relative luminance of a colour, by WCAG."""
    parts = colorsys.hls_to_rgb(hue / 360, lightness / 100, saturation / 100)
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
