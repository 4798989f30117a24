"""What the repository ships works as it lies there: starter bundle, voices, speaker encoder."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from audio.io import read_clip
from core.progress import ProgressReporter
from speakers.embedding import BUILT_IN_FILE, embed_clip, load_encoder
from sv2tts.checkpoints import verify_model
from sv2tts.engine import Sv2ttsEngine
from sv2tts.generation.options import Sv2ttsOptions
from tortoise.checkpoints.verify import verify_model_folder
from tortoise.engine import TortoiseEngine
from tortoise.generation.options import TortoiseOptions

ROOT = Path(__file__).resolve().parent.parent
STARTER, VOICES = ROOT / "models" / "starter", ROOT / "voices"
SV2TTS_STARTER = ROOT / "models" / "starter-sv2tts"
QUICK = TortoiseOptions(samples=4, iterations=8, cond_free=False, vocoder="griffin_lim", seed=5)


@pytest.fixture(scope="module")
def engine() -> TortoiseEngine:
    return TortoiseEngine.load(STARTER, torch.device("cpu"))


def test_the_starter_is_small_enough_to_be_cloned_with_the_code() -> None:
    assert sum(file.stat().st_size for file in STARTER.iterdir()) <= 40_000_000


def test_every_network_of_the_starter_opens_and_is_what_was_written() -> None:
    wrong = [
        (file, fault) for file, fault in verify_model_folder(STARTER, ProgressReporter()) if fault
    ]
    assert wrong == []


@pytest.mark.parametrize("voice", sorted(path.name for path in VOICES.iterdir() if path.is_dir()))
def test_every_shipped_voice_can_be_heard_and_is_one_speaker(
    engine: TortoiseEngine, voice: str
) -> None:
    clips = [read_clip(path) for path in sorted((VOICES / voice).glob("*.flac"))]
    heard = engine.condition(clips, ProgressReporter()).tensors["gpt"]
    assert len(clips) == 4 and heard.shape == (1, 256) and bool(heard.isfinite().all())


def test_the_starter_says_a_sentence_of_likely_length(engine: TortoiseEngine) -> None:
    clips = [read_clip(path) for path in sorted((VOICES / "martin").glob("*.flac"))]
    voice = engine.condition(clips, ProgressReporter())
    (take,) = engine.synthesize("We could hear music.", voice, QUICK, ProgressReporter()).candidates
    said = take.clip
    assert 0.8 < said.duration_s < 3.0  # martin himself takes 1.5 s
    assert 0.01 < float(said.wave.square().mean().sqrt()) < 0.5


def test_a_voice_made_up_by_the_starter_speaks(engine: TortoiseEngine) -> None:
    voice = engine.sample_random_speaker(3, ProgressReporter())
    (take,) = engine.synthesize("We could hear music.", voice, QUICK, ProgressReporter()).candidates
    said = take.clip
    assert 0.5 < said.duration_s < 5.0 and bool(said.wave.isfinite().all())


def test_the_speaker_encoder_is_small_and_tells_the_shipped_voices_apart() -> None:
    assert BUILT_IN_FILE.stat().st_size < 1_000_000
    encoder = load_encoder("built-in")
    clips = {voice: VOICES / voice / "1.flac" for voice in ("clara", "felix", "iris")}
    one, other, third = (embed_clip(encoder, read_clip(path)) for path in clips.values())
    own = embed_clip(encoder, read_clip(VOICES / "clara" / "2.flac"))
    assert float(own @ one) > max(float(own @ other), float(own @ third)) + 0.1


def test_the_starter_of_sv2tts_is_small_and_what_was_written() -> None:
    assert sum(file.stat().st_size for file in SV2TTS_STARTER.iterdir()) <= 16_000_000
    assert [(file, fault) for file, fault in verify_model(SV2TTS_STARTER) if fault] == []


def test_the_starter_of_sv2tts_says_a_sentence_of_likely_length() -> None:
    engine = Sv2ttsEngine.load(SV2TTS_STARTER, torch.device("cpu"))
    clips = [read_clip(path) for path in sorted((VOICES / "clara").glob("*.flac"))]
    voice = engine.condition(clips, ProgressReporter())
    options = Sv2ttsOptions(seed=1, retakes=2)
    made = engine.synthesize("We could hear music.", voice, options, ProgressReporter())
    take = made.candidates[0]
    assert 0.8 < take.clip.duration_s < 3.0 and take.aux.report.problems == ()
    assert 0.01 < float(take.clip.wave.square().mean().sqrt()) < 0.5
