"""The effects of a voice: heard before, saved, in what is generated then, and removed."""

from __future__ import annotations

from collections.abc import Callable

from browser.server import StudioProcess, until
from browser.visitor import Visitor
from studio.synthesis.audio_metadata import read_metadata

TELEPHONE = {"band": "telephone", "compression": 4.0}


def open_voices(one: Visitor) -> None:
    """Choose the voices in Utilities."""
    one.choose("utilities")
    one.page.locator("#tab-utilities").get_by_role("tab", name="Voices", exact=True).click()


def test_effects_of_a_voice_are_heard_saved_spoken_and_removed(
    own_studio: Callable[..., StudioProcess], visitor: Callable[..., Visitor]
) -> None:
    studio, one = own_studio(), visitor()
    voice = studio.root / "voices" / "clara"
    recordings = {path.name: path.read_bytes() for path in voice.iterdir() if path.is_file()}
    page = one.open(studio.url)
    open_voices(one)
    one.set("utilities-voice-effects-voice", "clara")
    one.wait_for_answers()  # with the effects of this voice
    one.slow_down()
    one.set("utilities-voice-effects-preset", "Telephone")
    one.control("utilities-voice-effects-preview").click()  # before any answer
    heard = page.locator("#utilities-voice-effects-heard")
    heard.get_by_text("nothing is saved").wait_for()
    assert heard.locator("audio").count() == 2 and not (voice / "voice.yaml").exists()
    one.control("utilities-voice-effects-save").click()
    page.locator("#utilities-voices").get_by_text("band telephone").wait_for()
    preset = page.locator("#utilities-voice-effects-preset input")
    for name, shown in (("felix", "None"), ("clara", "Telephone")):  # what each voice has
        one.set("utilities-voice-effects-voice", name)
        until(lambda shown=shown: preset.input_value() == shown, within_s=120, what=shown)

    one.choose("generate")
    one.set("generate-voice", "clara")
    one.control("generate-run").click()
    page.locator("article.job.newest.is-done audio").first.wait_for(state="attached")
    (clip,) = (studio.root / "results" / "clara").glob("*.wav")
    assert read_metadata(clip).voice_effects == {"clara": TELEPHONE}

    open_voices(one)
    one.set("utilities-voice-effects-preset", "None")
    one.control("utilities-voice-effects-save").click()
    page.locator("#utilities-voice-effects-message").get_by_text("none").wait_for()
    kept = {path.name: path.read_bytes() for path in voice.iterdir() if path.is_file()}
    assert kept == recordings
