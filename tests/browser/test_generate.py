"""The tab Generate: the first sound, every control, and what the keyboard does."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from browser.server import StudioProcess, until
from browser.visitor import Visitor
from core.options import list_option_fields
from studio.schemas.speech import OutputOptions
from support.lora_finetune import make_lora_finetune
from tortoise.generation.options import TortoiseOptions

# What a hand chooses -> what the request holds. No knob may stand as it stands by itself.
TURNED: Mapping[str, tuple[str | float | bool, object]] = MappingProxyType(
    {
        "samples": (5, 5),
        "iterations": (3, 3),
        "candidates": (2, 2),
        "seed": ("1234", 1234),
        "speed": (1.25, 1.25),
        "temperature": (0.75, 0.75),
        "top_p": (0.85, 0.85),
        "top_k": (40, 40),
        "typical_mass": (0.9, 0.9),
        "repetition_penalty": (1.5, 1.5),
        "length_penalty": (1.2, 1.2),
        "pause_size": (6, 6),
        "diffusion_sampler": ("DPM++ 2M", "dpm"),
        "diffusion_temperature": (0.9, 0.9),
        "cond_free": (True, True),
        "cond_free_k": (1.5, 1.5),
        "cvvp_weight": (0.2, 0.2),
        "precision": ("8 bits", "int8"),
        "half_precision": (True, True),
        "sample_batch_size": (4, 4),
        "low_vram": (True, True),
        "vocoder": ("BigVGAN", "bigvgan"),
        "max_codes": (20, 20),
        "voice_crop": ("Chunks of all clips", "chunks"),
        "voice_chunk_s": (2, 2.0),
        "slim_latents": (True, True),
        "text_cleaning": ("As the original", "published"),
        "delimiter": (r"\n", r"\n"),
        "piece_chars": (100, 100),
        "pause_s": (0.5, 0.5),
        "pause_none_s": (0.05, 0.05),
        "pause_comma_s": (0.2, 0.2),
        "pause_paragraph_s": (0.9, 0.9),
        "pause_section_s": (2.0, 2.0),
        "fade_ms": (10, 10),
        "volume": (0.9, 0.9),
        "output_rate": (44_100, 44_100),
        "format": ("flac", "flac"),
        "emotion": ("Happy", "happy"),
        "take_check": ("Strict", "strict"),
        "duration": (3.5, 3.5),
        "loudness": ("-18", "-18"),
        "fade_in_ms": (100, 100),
        "fade_out_ms": (200, 200),
        "bit_depth": ("24", "24"),
        "file_name": ("{voice}-{number}", "{voice}-{number}"),
        "retakes": (3, 3),
    }
)
BY_ITSELF = {  # have tests of their own
    "prompt",  # is asked for with the emotion Custom
    "lora_strength",  # is shown for a model with an adapter
}


def test_the_first_sound_takes_one_click(
    own_studio: Callable[..., StudioProcess],
    visitor: Callable[..., Visitor],
    measured: Callable[[str, str], None],
) -> None:
    begun = time.monotonic()
    studio, one = own_studio(), visitor()
    page = one.open(studio.url)
    assert page.locator("#generate-text textarea").input_value().strip()
    assert page.locator("#generate-voice input").input_value() in ("clara", "felix")
    one.control("generate-run").click()
    player = page.locator("article.job.is-done audio").first
    player.wait_for(state="attached", timeout=90_000)
    hear(player)
    measured("first start", f"{studio.start_s:.1f} s until the page is there")
    measured("first sound with a tiny bundle", f"{time.monotonic() - begun:.1f} s")
    weight = page.evaluate(
        "() => performance.getEntries().reduce((sum, one) => sum + (one.transferSize || 0), 0)"
    )
    measured("page weight", f"{weight / 1000:.0f} kB")


def hear(player: Any) -> None:
    """Play a clip for a tenth of a second, or to its end."""
    player = player.element_handle()  # a locator finds another player once the page has changed
    player.evaluate("(node) => node.play()")
    code = "(node) => node.ended ? node.duration > 0.1 : node.currentTime > 0.1"
    until(lambda: player.evaluate(code), within_s=60, what="sound")
    player.evaluate("(node) => node.pause()")


def test_the_values_of_all_controls_reach_the_request(
    studio: StudioProcess, visitor: Callable[..., Visitor]
) -> None:
    knobs = {
        field.name for cls in (TortoiseOptions, OutputOptions) for field in list_option_fields(cls)
    }
    assert knobs == TURNED.keys() | BY_ITSELF  # a new knob wants its row above
    one = visitor()
    one.open(studio.url)
    one.set("generate-text", "A sentence before it.\n" * 60)
    before = run(one, studio)  # so that the job below waits: the model lacks some of the options
    one.set("generate-text", "One.\nTwo.")
    one.set("generate-voice", "felix")
    one.unfold()
    for name, (value, _) in TURNED.items():
        one.set(f"generate-{name.replace('_', '-')}", value)
    job = run(one, studio)
    for one_of_both in (job, before):
        studio.stop(one_of_both["id"])
    request = job["request"]
    got = {**request["options"], **request["delivery"]}
    assert {name: got[name] for name in TURNED} == {n: wanted for n, (_, wanted) in TURNED.items()}
    assert (request["text"], request["voice"]) == ("One.\nTwo.", "felix")


def test_a_preset_holds_for_a_button_that_is_pressed_at_once(
    studio: StudioProcess, visitor: Callable[..., Visitor]
) -> None:
    one = visitor()
    one.open(studio.url)
    one.set("generate-text", "One.")
    one.wait_for_answers()
    one.slow_down()
    one.set("generate-preset", "Standard")
    job = run(one, studio)
    studio.stop(job["id"])
    wanted = TortoiseOptions.presets()["standard"]
    assert {name: job["request"]["options"][name] for name in wanted} == dict(wanted)


def test_an_emotion_in_ones_own_words_reaches_the_request(
    studio: StudioProcess, visitor: Callable[..., Visitor]
) -> None:
    one = visitor()
    one.open(studio.url)
    one.unfold()
    one.set("generate-emotion", "Custom")
    one.set("generate-prompt", "I whisper,")
    job = run(one, studio)
    studio.stop(job["id"])
    assert job["request"]["delivery"]["prompt"] == "I whisper,"


def test_the_strength_of_an_adapter_is_shown_with_a_model_that_has_one(
    own_studio: Callable[..., StudioProcess], visitor: Callable[..., Visitor]
) -> None:
    studio, one = own_studio(), visitor()
    models = studio.root / "models"
    make_lora_finetune(models / "starter", models / "finetunes" / "own", voice="clara")
    page = one.open(studio.url)
    one.unfold()
    strength = page.locator("#generate-lora-strength")
    assert strength.count() == 0 or not strength.is_visible()
    one.set("generate-bundle", "finetunes/own")
    one.set("generate-lora-strength", 0.5)
    job = run(one, studio)
    assert job["request"]["bundle"] == "finetunes/own"
    assert job["request"]["options"]["lora_strength"] == 0.5
    one.set("generate-bundle", "starter")
    strength.wait_for(state="hidden")
    job = run(one, studio)
    assert job["request"]["options"]["lora_strength"] == 1.0
    until(lambda: studio.job(job["id"])["state"] == "done", within_s=90, what="clip")


def test_the_speakers_of_a_script_get_voices_and_colours(
    studio: StudioProcess, visitor: Callable[..., Visitor], screenshots: Path
) -> None:
    one = visitor()
    page = one.open(studio.url)
    one.set("generate-text", "Ida: Good evening.\nFelix: Hello.\nIda: Well.")
    first = page.locator("#generate-speaker-1")
    first.wait_for(state="visible")
    assert page.locator("#generate-speaker-2 input").input_value() == "felix"
    one.set("generate-speaker-1", "clara")
    page.locator("#generate-preview").get_by_text("clara").first.wait_for(state="attached")
    page.screenshot(path=screenshots / "speakers-1440.png")
    job = run(one, studio)
    assert job["request"]["speaker_voices"] == {"Ida": "clara", "Felix": "felix"}
    chips = page.locator(f"article.job[data-key='{job['id']}'] .line .speaker")
    chips.first.wait_for(timeout=90_000)
    assert chips.all_inner_texts() == ["Ida (clara)", "felix", "Ida (clara)"]
    page.reload()
    one.set("generate-text", "IDA: One.\nIda: Two.")
    first.wait_for(state="visible")
    until(
        lambda: first.locator("input").input_value() == "clara",
        within_s=30,
        what="the voice that was kept",
    )


def run(one: Visitor, studio: StudioProcess) -> dict[str, Any]:
    """Press Run; returns the job that came of it."""
    before = {job["id"] for job in studio.jobs()}
    one.control("generate-run").click()

    def look() -> dict[str, Any] | None:
        fresh = [job for job in studio.jobs() if job["id"] not in before]
        return fresh[0] if fresh else None

    return until(look, within_s=60, what="new job")


def run_lines(one: Visitor, studio: StudioProcess, count: int, **knobs: int) -> dict[str, Any]:
    """Speak short lines one after the other; returns the job."""
    one.unfold()
    one.set("generate-text", "\n".join(f"Number {number}." for number in range(1, count + 1)))
    one.set("generate-delimiter", r"\n")
    for name, value in knobs.items():
        one.set(f"generate-{name}", value)
    return run(one, studio)


def test_ctrl_enter_runs_what_was_just_typed(
    studio: StudioProcess, visitor: Callable[..., Visitor]
) -> None:
    one = visitor()
    page = one.open(studio.url)
    page.locator("#generate-text textarea").fill("Typed a moment ago.")
    before = len(studio.jobs())
    page.keyboard.press("Control+Enter")
    until(lambda: len(studio.jobs()) > before, within_s=60, what="new job")
    assert studio.jobs()[0]["request"]["text"] == "Typed a moment ago."


def test_each_line_can_be_heard_before_the_last_one_is_spoken(
    studio: StudioProcess, visitor: Callable[..., Visitor]
) -> None:
    one = visitor()
    page = one.open(studio.url)
    job = run_lines(one, studio, 60, iterations=60)  # many, so that it runs long enough
    player = page.locator(f"article.job[data-key='{job['id']}'] audio").first
    player.wait_for(state="attached", timeout=60_000)
    assert studio.job(job["id"])["state"] == "running"
    hear(player)
    studio.stop(job["id"])


def test_a_line_goes_on_when_the_last_one_is_spoken(
    studio: StudioProcess, visitor: Callable[..., Visitor]
) -> None:
    one = visitor()
    page = one.open(studio.url)
    job = run_lines(one, studio, 30, iterations=60)
    article = f"article.job[data-key='{job['id']}']"
    player = page.wait_for_selector(f"{article} [data-partial] audio", state="attached")
    player.evaluate("async (node) => { node.loop = true; await node.play(); }")
    page.locator(f"{article} [data-clip] audio").first.wait_for(state="attached")
    one.settle()
    assert player.evaluate("(node) => node.isConnected && !node.paused")
    player.evaluate("(node) => { node.loop = false; }")
    following = page.locator(f"{article} [data-partial] audio").nth(1).element_handle()
    page.wait_for_function("(node) => node.currentTime > 0", arg=following)
    following.evaluate("(node) => node.pause()")
    page.locator(f"{article} [data-partial]").wait_for(state="detached")


def test_a_copy_button_says_that_it_copied(
    studio: StudioProcess, visitor: Callable[..., Visitor]
) -> None:
    one = visitor()
    page = one.open(studio.url)
    job = run(one, studio)
    settings = page.locator(f"article.job[data-key='{job['id']}'] details.settings")
    settings.wait_for(state="attached", timeout=60_000)
    settings.locator("summary").click()
    settings.get_by_role("button", name="Copy settings line").click()
    settings.get_by_role("button", name="Copied").wait_for()


def test_what_cannot_be_spoken_is_refused_in_words(
    studio: StudioProcess, visitor: Callable[..., Visitor]
) -> None:
    one = visitor()
    page = one.open(studio.url)
    before = len(studio.jobs())
    for text, told in (("   ", "text is empty"), ("?!", "nothing to speak")):
        one.set("generate-text", text)
        one.control("generate-run").click()
        page.get_by_text(re.compile(told, re.IGNORECASE)).first.wait_for()
    assert len(studio.jobs()) == before


def test_the_voice_list_follows_the_folder(
    studio: StudioProcess, visitor: Callable[..., Visitor]
) -> None:
    one = visitor()
    page = one.open(studio.url)
    newcomer = studio.root / "voices" / "newcomer"
    newcomer.symlink_to(studio.root / "voices" / "clara")

    def listed() -> bool:
        box = page.locator("#generate-voice input")
        box.click()
        page.get_by_role("option").first.wait_for()
        found = page.get_by_role("option", name="newcomer").count() > 0
        box.blur()  # a list that is open already does not open at a click
        return bool(found)

    try:
        until(listed, within_s=60, what="newcomer in the list of voices", every_s=0.5)
    finally:
        newcomer.unlink()
