"""The SV2TTS engine: the same seed gives the same clip, failures of the attention are told."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from audio.clip import Clip
from core.progress import Cancelled, ProgressReporter
from engines.protocols import SpeechCandidate
from engines.speaker_latents import SpeakerLatents
from sv2tts.engine import EMBEDDING, Sv2ttsCandidateData, Sv2ttsEngine
from sv2tts.front_end import load_front_end
from sv2tts.generation.attention_check import (
    attention_score,
    character_times,
    check_attention,
)
from sv2tts.generation.options import Sv2ttsOptions
from tests.support.tiny_sv2tts import make_tiny_phoneme_model, make_tiny_sv2tts

FAST = Sv2ttsOptions(seed=1, retakes=1, max_seconds=1.0, vocoder="griffin_lim")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Sv2ttsEngine:
    folder = make_tiny_sv2tts(tmp_path_factory.mktemp("sv2tts"))
    return Sv2ttsEngine.load(folder, torch.device("cpu"))


@pytest.fixture(scope="module")
def speaker(engine: Sv2ttsEngine) -> SpeakerLatents:
    time = torch.arange(24_000 * 3) / 24_000
    wave = 0.3 * torch.sin(2 * torch.pi * 140 * time) * (1 + torch.sin(2 * torch.pi * 3 * time))
    noise = torch.randn(len(time), generator=torch.Generator().manual_seed(0))
    clip = Clip(wave=(wave + 0.01 * noise).clamp(-1, 1), sample_rate=24_000)
    return engine.condition([clip], ProgressReporter())


def test_the_same_seed_gives_the_same_clip(engine: Sv2ttsEngine, speaker: SpeakerLatents) -> None:
    first = engine.synthesize("Hello there.", speaker, FAST, ProgressReporter())
    second = engine.synthesize("Hello there.", speaker, FAST, ProgressReporter())
    assert torch.equal(first.candidates[0].clip.wave, second.candidates[0].clip.wave)
    assert first.candidates[0].clip.sample_rate == 16_000
    assert first.warnings[0].topic == "attention"  # an untrained network has no attention


def test_synthesis_leaves_the_global_random_state_alone(
    engine: Sv2ttsEngine, speaker: SpeakerLatents
) -> None:
    before = torch.get_rng_state()
    engine.synthesize("Hello.", speaker, FAST, ProgressReporter())
    assert torch.equal(before, torch.get_rng_state())


def test_synthesis_stops_when_asked(engine: Sv2ttsEngine, speaker: SpeakerLatents) -> None:
    with pytest.raises(Cancelled):
        engine.synthesize("Hello.", speaker, FAST, ProgressReporter(stopped=lambda: True))


def test_wavernn_speaks_too(engine: Sv2ttsEngine, speaker: SpeakerLatents) -> None:
    options = Sv2ttsOptions(seed=1, retakes=0, max_seconds=1.0, vocoder="wavernn")
    made = engine.synthesize("Hello.", speaker, options, ProgressReporter())
    assert made.candidates[0].clip.wave.abs().max() > 0


def test_a_model_of_phonemes_speaks_at_24_khz_with_the_istft_vocoder(tmp_path: Path) -> None:
    folder = make_tiny_phoneme_model(tmp_path / "model")
    engine = Sv2ttsEngine.load(folder, torch.device("cpu"))
    speaker = SpeakerLatents(
        engine="sv2tts", weights_id=engine.weights_id, tensors={EMBEDDING: torch.ones(16) / 4}
    )
    options = Sv2ttsOptions(seed=1, retakes=0, max_seconds=1.0)
    made = engine.synthesize("Hello there, Dr. Smith.", speaker, options, ProgressReporter())
    clip = made.candidates[0].clip
    assert clip.sample_rate == engine.sample_rate == 24_000
    assert 0.2 < clip.duration_s <= 1.1 and clip.wave.abs().max() > 0


def test_parts_of_a_phoneme_text_start_where_their_first_phoneme_does(tmp_path: Path) -> None:
    folder = make_tiny_phoneme_model(tmp_path / "model")
    engine = Sv2ttsEngine.load(folder, torch.device("cpu"))
    front = load_front_end(folder, "phonemes")
    read = front.read("One two three.")
    symbols = len(front.to_ids(read))
    report = check_attention(diagonal(4 * symbols, symbols), step_s=0.1, ended=True)
    data = Sv2ttsCandidateData(
        text=read, attention=diagonal(4 * symbols, symbols), step_s=0.1, report=report
    )
    speaker = SpeakerLatents(engine="sv2tts", weights_id="", tensors={})
    candidate = SpeechCandidate(clip=Clip(wave=torch.zeros(10), sample_rate=24_000), aux=data)
    starts = engine.align(["One", "two", "three."], candidate, speaker, ProgressReporter())
    places = [front.find_symbol(read, read.lower().find(word)) for word in ("one", "two", "three")]
    assert starts == pytest.approx([0.4 * place for place in places], abs=0.25)
    spans = engine.locate_words(["One", "two", "three."], candidate)
    assert spans is not None and [start for start, _ in spans] == pytest.approx(starts, abs=0.5)
    assert all(start < stop for start, stop in spans)


def diagonal(steps: int, characters: int) -> torch.Tensor:
    position = torch.linspace(0, characters - 1, steps).round().long()
    return torch.eye(characters)[position]


def test_a_diagonal_attention_is_good() -> None:
    report = check_attention(diagonal(60, 20), step_s=0.025, ended=True)
    assert report.is_good and report.coverage == 1.0
    assert attention_score(diagonal(60, 20)) > 0.9


@pytest.mark.parametrize(
    ("attention", "ended", "problem"),
    [
        (torch.full((60, 20), 0.05), True, "blurred"),
        (torch.cat([diagonal(40, 20), diagonal(40, 20)]), True, "repeated"),
        (torch.cat([diagonal(20, 20)[:5], diagonal(20, 20)[14:]]), True, "skipped"),
        (diagonal(60, 20)[:30], True, "end is missing"),
        (diagonal(60, 20), False, "does not end"),
        (diagonal(60, 20).repeat_interleave(40, 0), True, "held too long"),
    ],
)
def test_failures_of_the_attention_are_found(
    attention: torch.Tensor, ended: bool, problem: str
) -> None:
    report = check_attention(attention, step_s=0.025, ended=ended)
    assert any(problem in one for one in report.problems), report
    assert attention_score(torch.full((60, 20), 0.05)) < 0.1


def test_characters_have_times_in_order() -> None:
    times = character_times(diagonal(60, 20), 0.025)
    assert times == sorted(times) and len(times) == 20
    assert times[10] == pytest.approx(60 / 19 * 10 * 0.025, abs=0.06)


def test_an_incomplete_model_is_refused(tmp_path: Path, engine: Sv2ttsEngine) -> None:
    (tmp_path / "config.json").write_bytes((engine.folder / "config.json").read_bytes())
    with pytest.raises(ValueError, match="lacks encoder, synthesizer, vocoder"):
        Sv2ttsEngine.load(tmp_path, torch.device("cpu"))
