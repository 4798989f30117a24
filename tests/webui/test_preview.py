from __future__ import annotations

import gradio as gr
import pytest

from studio.app.studio import Studio
from studio.synthesis.preview import Preview, PreviewChunk
from studio.synthesis.request_builder import SpeechRequestInput, build_request
from support.fake_engine import FakeEngine
from webui.generate.form import get_initial_values
from webui.generate.preview import (
    LONG_JOB_S,
    MAX_CHUNKS,
    preview_html,
    request_preview_html,
    submit_first_sentence,
)
from webui.generate.tab import GenerateTab


def piece(**changes: object) -> PreviewChunk:
    return PreviewChunk(line=1, text="a", said="a", tokens=4, limit=10, **changes)  # type: ignore[arg-type]


def test_pieces_tell_their_tokens_what_is_lost_and_what_is_wrong() -> None:
    shown = Preview(
        pieces=(
            piece(unknown=("☃",), voice="vera"),
            PreviewChunk(line=2, text="{", problem="That is <no> override."),
        ),
        seconds=4.2,
    )
    html = preview_html(shown, None)
    for words in ("4 of 10 tokens", "cannot be spoken: ☃", "voice vera", "2 chunks, about 4 s"):
        assert words in html
    assert "! Line 2: That is &lt;no&gt; override." in html


def test_a_long_text_shows_its_first_pieces_only() -> None:
    html = preview_html(Preview(pieces=(piece(),) * (MAX_CHUNKS + 5), seconds=9.0), None)
    assert html.count("<li>") == MAX_CHUNKS and "and 5 more" in html


def test_the_time_is_reported_with_the_stages_that_take_most_of_it() -> None:
    shown = Preview(pieces=(piece(),), seconds=4.2)
    told = preview_html(shown, {"draft": 90.0, "diffusion": 38.0, "vocode": 2.0})
    assert (
        "about 2 min 10 s" in told
        and "(sampling candidates 69 %, diffusion 29 %, other 2 %)" in told
    )
    for unknown in (None, {}):
        assert "after the first run" in preview_html(shown, unknown)


def test_a_request_is_previewed_as_it_would_be_spoken(studio: Studio) -> None:
    wish = SpeechRequestInput(text="One.\nTwo.", voice="nobody", delivery={"delimiter": "\\n"})
    html = request_preview_html(studio, build_request(studio.settings, wish, studio.layout))
    assert html.count("<li>") == 2 and "no voice" in html


def test_before_a_long_job_its_first_sentence_is_offered_with_the_same_settings(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    with gr.Blocks():
        tab = GenerateTab(studio)
    text = '{"voice": "vera", "temperature": 0.3} Good evening. And welcome.\nFar more.'
    values = {**get_initial_values(studio), "text": text, "microphone": None, "seed": "5"}
    shown = [values[name] for name in tab.form.controls]
    for seconds, offered in ((LONG_JOB_S - 1, False), (LONG_JOB_S, True)):
        stages = {"draft": seconds}
        monkeypatch.setattr(studio, "estimate_stage_seconds", lambda request, told=stages: told)
        assert tab._preview(*shown)[tab.first_sentence]["visible"] is offered
    tab._preview_sentence(*shown)
    job = studio.wait(studio.jobs()[0].id, 30)
    assert job.state == "done" and job.title == "Preview: Good evening."
    assert job.request["voice"] == "vera" and job.request["options"]["temperature"] == 0.3
    assert FakeEngine.heard == ["Good evening."]


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("One two. Three.", "One two."),
        ("[I am sad. Really.] Go now. Then.", "[I am sad. Really.] Go now. Then."),
        ("... One. Two.", "One."),
        ("Say {HH AH0 L OW1} now. Two.", "Say {HH AH0 L OW1} now."),
    ],
)
def test_the_first_sentence_keeps_its_marks(studio: Studio, text: str, first: str) -> None:
    wish = SpeechRequestInput(text=text, voice="vera", delivery={"prompt": "I whisper,"})
    request = build_request(studio.settings, wish, studio.layout)
    submit_first_sentence(studio, request, "generate")
    sent = studio.jobs()[0].request
    assert sent["text"] == first and sent["delivery"]["prompt"] == "I whisper,"
