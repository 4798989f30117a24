"""What is shown before speaking is what is spoken afterwards."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from core.paths import ProjectPaths
from core.progress import ProgressReporter
from studio.schemas.settings import Settings
from studio.schemas.speech import MAX_TEXT_CHARS, OutputOptions
from studio.synthesis.preview import PreviewRequest, preview
from studio.synthesis.request_builder import SpeechRequestInput, build_request
from studio.workers.synthesis.synthesizer import Synthesizer
from support.counting import count_calls
from support.fake_engine import FakeEngine
from support.golden_cases import ROOT
from support.tiny_bundle import make_tiny_bundle
from text.normalization import pipeline
from tortoise.checkpoints.config import ModelConventions, read_config
from tortoise.engine import TortoiseEngine
from tortoise.generation.text_length import PUBLISHED_TEXT_LIMIT, load_text_analyzer

STARTER = ROOT / "models" / "starter"
LONG = "One is here. Two, which is longer, is there. [whispering] And three! " * 6


@pytest.fixture
def real(
    layout: ProjectPaths, monkeypatch: pytest.MonkeyPatch, real_engines: object
) -> ProjectPaths:
    """The studio with the real engine's options and the starter's own vocabulary."""
    monkeypatch.setattr("engines.registry.ENGINES", real_engines)
    (layout.models / "starter" / "weights").unlink()
    (layout.models / "starter").rmdir()
    (layout.models / "starter").symlink_to(STARTER)
    return layout


@pytest.mark.parametrize("delimiter", ["", "\\n", "."])
@pytest.mark.parametrize("emotion", ["none", "sad"])
def test_the_cuts_are_those_of_the_real_run(
    layout: ProjectPaths, delimiter: str, emotion: str
) -> None:
    delivery = {"delimiter": delimiter, "emotion": emotion, "piece_chars": 40}
    text = f'Good day.\n{{"voice": "bob"}} And to you.\n{LONG}'
    request = build_request(
        Settings(), SpeechRequestInput(text=text, voice="alice", delivery=delivery), layout
    )
    shown = preview(request, layout)
    spoken = Synthesizer(layout).speak(request, ProgressReporter())
    assert shown.speakable and len(shown.pieces) == len(spoken.lines) > 5
    assert " ".join(piece.text for piece in shown.pieces) == spoken.heard
    assert [piece.tokens for piece in shown.pieces] == [len(text) for text in FakeEngine.heard]


def test_the_light_measure_counts_as_the_engine_does(tmp_path: Path) -> None:
    import torch

    folder = make_tiny_bundle(tmp_path / "tiny", seed=0)
    engine, light = TortoiseEngine.load(folder, torch.device("cpu")), load_text_analyzer(folder)
    assert light.text_limit == engine.text_limit
    assert light.count_tokens("Hello, 42!") == engine.count_tokens("Hello, 42!")
    assert ModelConventions().text_limit == PUBLISHED_TEXT_LIMIT
    assert (
        load_text_analyzer(STARTER).text_limit == read_config(STARTER).conventions.piece_limit - 2
    )


def test_numbers_and_short_forms_are_shown_as_words(real: ProjectPaths) -> None:
    shown = preview(PreviewRequest(text="Dr. Smith paid $12.50.", voice="alice"), real)
    (piece,) = shown.pieces
    assert piece.said == "Doctor Smith paid twelve dollars and fifty cents."
    assert piece.text == "Dr. Smith paid $12.50."
    assert 30 < piece.tokens < piece.limit == 118
    assert 2 < piece.seconds < 5 and shown.seconds == piece.seconds


def test_what_is_lost_or_guessed_is_named(real: ProjectPaths, tmp_path: Path) -> None:
    (piece,) = preview(
        PreviewRequest(text="Hello 😀 Zyxqwol, dear dog's dogs.", voice="alice"), real
    ).pieces
    assert piece.unknown == ("😀",) and piece.guessed == ("Zyxqwol",)
    make_tiny_bundle(real.models / "tiny", seed=0)
    published = {"text_cleaning": "published"}
    draft = PreviewRequest(
        text="A price* of #6 and more", voice="alice", bundle="tiny", options=published
    )
    (piece,) = preview(draft, real).pieces
    assert piece.unknown == ("price*", "#6") and piece.said == "a price* of #six and more"
    (piece,) = preview(replace(draft, options={}), real).pieces
    assert piece.unknown == () and piece.said == "a price of number six and more"


def test_what_is_wrong_with_a_line_stands_at_that_line(layout: ProjectPaths) -> None:
    text = (
        '{"voice": "carol"} One.\nTwo, and [softly] more.\n{"temperature": 9} Three.\n'
        '{"temprature": 1} Four.\n[all of it]\n{"voice": "bob"} Six.'
    )
    shown = preview(PreviewRequest(text=text, voice="alice"), layout)
    told = [(piece.line, piece.problem) for piece in shown.pieces]
    assert [line for line, _ in told] == [1, 2, 3, 4, 6] and not shown.speakable
    reasons = ("Line 1: There is no voice 'carol'", "", "Line 3: temperature is 9",
               "did you mean 'temperature'", "")  # fmt: skip
    assert all(reason in problem for reason, (_, problem) in zip(reasons, told, strict=True))
    assert shown.pieces[1].steering == "softly" and shown.pieces[4].voice == "bob"
    (notice,) = shown.notices
    assert "Line 5: all of it is in brackets, so nothing would be spoken" in notice
    assert shown.problems == ()


WRONG = {
    "no text": (PreviewRequest(text="  ", voice="alice"), "text is empty"),
    "nothing speakable": (PreviewRequest(text="?!", voice="alice"), "no letter or digit"),
    "no voice": (PreviewRequest(text="Hi."), "No voice was given"),
    "unknown voice": (PreviewRequest(text="Hi.\nYou.", voice="alicia"), "Did you mean 'alice'"),
    "unknown engine": (
        PreviewRequest(text="Hi.", voice="alice", engine="hare"),
        "no engine 'hare'",
    ),
    "unknown bundle": (
        PreviewRequest(text="Hi.", voice="alice", bundle="none"),
        "no model 'none'",
    ),
    "a bad knob": (
        PreviewRequest(text="Hi.", voice="alice", options={"temperature": 9}),
        "from 0.05",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_with_the_whole_is_reported_once(case: str, layout: ProjectPaths) -> None:
    draft, reason = WRONG[case]
    shown = preview(draft, layout)
    assert not shown.speakable and len(shown.problems) == 1 and reason in shown.problems[0]
    assert all(piece.problem == "" for piece in shown.pieces)


def test_pauses_and_delivery_count_for_the_length(layout: ProjectPaths) -> None:
    def seconds(pause_s: float) -> float:
        delivery = OutputOptions(delimiter="\\n", pause_s=pause_s)
        return preview(
            PreviewRequest(text="One.\nTwo.\nSix.", voice="alice", delivery=delivery), layout
        ).seconds

    assert seconds(2.0) - seconds(0.5) == pytest.approx(3.0)


def test_the_work_of_a_preview_grows_with_the_text_and_no_faster(real: ProjectPaths) -> None:
    words = "The old man paid 12 pounds, and Mr. Jones sang of love; nobody heard it! Why? "
    preview(PreviewRequest(text=words * 12, voice="alice"), real)
    calls = []
    for times in (12, 24):
        request = PreviewRequest(text=words * times + "And so.", voice="alice")
        shown, count = count_calls(partial(preview, request, real))
        calls.append(count)
    assert len(shown.pieces) > 5
    assert calls[1] < 2.5 * calls[0] and calls[1] < 200_000


def test_a_preview_needs_no_network_code() -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT / 'src')!r})\n"
        "from pathlib import Path\n"
        "from core.paths import ProjectPaths\n"
        "from studio.synthesis.preview import PreviewRequest, preview\n"
        f"paths = ProjectPaths.from_root(Path({str(ROOT)!r}))\n"
        "shown = preview(PreviewRequest(text='Hi 42.', voice='random'), paths)\n"
        "assert shown.speakable and shown.pieces[0].said == 'Hi forty-two.', shown\n"
        "assert not {'torch', 'gradio', 'scipy'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_change_of_a_long_text_costs_what_was_changed(
    real: ProjectPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds, read = pipeline.load_kinds(), list[int]()
    monkeypatch.setattr(pipeline, "load_kinds", lambda: read.append(1) or kinds)
    sentence = "The keeper walked down the winding path to the harbour, where {} boats waited. "
    paragraphs = [sentence.format(number) * 4 for number in range(1_000, 1_030)]

    def count_readings(paragraphs: Sequence[str]) -> int:
        before = len(read)
        request = PreviewRequest(text="\n\n".join(paragraphs), voice="random")
        assert len(preview(request, real).pieces) >= len(paragraphs)
        return len(read) - before

    first = count_readings(paragraphs)
    assert first >= len(paragraphs)
    assert count_readings(paragraphs) == 0
    assert count_readings([*paragraphs[:9], "A heliotrope. " * 9, *paragraphs[10:]]) < 12
    chars = sum(map(len, paragraphs))
    assert first * MAX_TEXT_CHARS / chars < pipeline.CACHED_TEXTS, "a longest text is read again"
