"""What the protocol of engines promises, held for every registered engine with tiny weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from audio.clip import Clip
from core.options import list_option_fields
from core.progress import Cancelled, ProgressEvent, ProgressReporter
from engines.protocols import Engine
from engines.registry import ENGINES, get_engine_class, get_options_class
from engines.speaker_latents import SpeakerLatents, interpolate_latents
from support.tiny_bundle import make_tiny_bundle
from support.tiny_codec import make_codec_bundle, use_tiny_packages

TEXT = "hello there"
CPU = torch.device("cpu")
MAKERS: Mapping[str, Callable[[Path, int], Path]] = {
    "tortoise": make_tiny_bundle,
    "quick": make_codec_bundle,
}
CHEAP_OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "tortoise": {"samples": 4, "iterations": 3, "max_codes": 12}
}


@dataclass(frozen=True, kw_only=True)
class Case:
    """An engine with tiny weights and a speaker."""

    engine: Engine
    folder: Path
    speaker: SpeakerLatents

    def options(self, **changes: Any) -> Any:
        cheap = CHEAP_OPTIONS.get(self.engine.name, {})
        return self.engine.options(**{"seed": 1, **cheap, **changes})

    def speak(self, report: ProgressReporter | None = None, **changes: Any) -> list[torch.Tensor]:
        output = self.engine.synthesize(
            TEXT, self.speaker, self.options(**changes), report or ProgressReporter()
        )
        return [candidate.clip.wave for candidate in output.candidates]


def noise(seconds: float = 2.0, seed: int = 0) -> Clip:
    generator = torch.Generator().manual_seed(seed)
    wave = 0.1 * torch.randn(round(seconds * 22_050), generator=generator)
    return Clip(wave=wave, sample_rate=22_050)


def make_case(name: str, folder: Path, seed: int = 0) -> Case:
    engine = get_engine_class(name).load(MAKERS[name](folder, seed), CPU)
    speaker = engine.condition([noise()], ProgressReporter())
    return Case(engine=engine, folder=folder, speaker=speaker)


@pytest.fixture(params=sorted(ENGINES))
def name(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    use_tiny_packages(monkeypatch)
    return str(request.param)


@pytest.fixture
def case(name: str, tmp_path: Path) -> Case:
    return make_case(name, tmp_path / "model")


def same(first: list[torch.Tensor], second: list[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_it_is_registered_under_its_name_with_its_options(case: Case, name: str) -> None:
    assert case.engine.name == name
    assert case.engine.options is get_options_class(name)
    assert {"seed"} <= {field.name for field in list_option_fields(case.engine.options)}


def test_the_same_seed_gives_the_same_sound_at_the_declared_rate(case: Case) -> None:
    waves = case.speak()
    assert waves and same(waves, case.speak())
    for wave in waves:
        assert wave.dim() == 1 and len(wave) > 0
        assert torch.isfinite(wave).all() and wave.abs().max() <= 1
    output = case.engine.synthesize(TEXT, case.speaker, case.options(), ProgressReporter())
    rates = {candidate.clip.sample_rate for candidate in output.candidates}
    assert rates == {case.engine.sample_rate}


def test_arguments_the_global_random_state_and_the_screen_are_left_alone(
    case: Case, capfd: pytest.CaptureFixture[str]
) -> None:
    clip = noise()
    wave, state = clip.wave.clone(), torch.get_rng_state()
    speaker = case.engine.condition([clip], ProgressReporter())
    before = {key: tensor.clone() for key, tensor in speaker.tensors.items()}
    case.engine.synthesize(TEXT, speaker, case.options(), ProgressReporter())
    case.engine.synthesize(TEXT, speaker, case.options(seed=None), ProgressReporter())
    assert torch.equal(clip.wave, wave) and torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(before[key], tensor) for key, tensor in speaker.tensors.items())
    assert capfd.readouterr() == ("", "")


def test_a_stop_is_noticed_at_the_next_report(case: Case) -> None:
    events: list[ProgressEvent] = []
    case.speak(ProgressReporter(events.append))
    total = len(events)
    assert total > 1
    for after in {1, total // 2}:
        heard: list[ProgressEvent] = []
        report = ProgressReporter(heard.append, stopped=lambda n=after, h=heard: len(h) >= n)  # type: ignore[misc]
        with pytest.raises(Cancelled):
            case.speak(report)
        assert len(heard) == after


def test_a_speaker_survives_saving_and_a_second_engine_of_the_weights_reads_it(
    case: Case, tmp_path: Path
) -> None:
    case.speaker.save(tmp_path / "voice.safetensors")
    again = SpeakerLatents.load(tmp_path / "voice.safetensors")
    other = type(case.engine).load(case.folder, CPU)
    assert other.weights_id == case.engine.weights_id == again.weights_id
    waves = Case(engine=other, folder=case.folder, speaker=again).speak()
    assert same(waves, case.speak())


def test_two_speakers_differ_and_their_blend_speaks(case: Case) -> None:
    tone = torch.sin(torch.arange(44_100) * 0.05)
    other = case.engine.condition([Clip(wave=tone, sample_rate=22_050)], ProgressReporter())
    assert other.content_id != case.speaker.content_id
    blend = interpolate_latents([(case.speaker, 1.0), (other, 1.0)])
    assert Case(engine=case.engine, folder=case.folder, speaker=blend).speak()


def test_speakers_of_other_weights_or_of_another_engine_are_refused(
    case: Case, name: str, tmp_path: Path
) -> None:
    foreign = make_case(name, tmp_path / "other", seed=9).speaker
    with pytest.raises(ValueError, match="Compute them again"):
        case.engine.synthesize(TEXT, foreign, case.options(), ProgressReporter())
    alien = SpeakerLatents(
        engine="none", weights_id=case.engine.weights_id, tensors=case.speaker.tensors
    )
    with pytest.raises(ValueError, match="Compute them again"):
        case.engine.synthesize(TEXT, alien, case.options(), ProgressReporter())


def test_a_voice_without_clips_is_refused(case: Case) -> None:
    with pytest.raises(ValueError, match="at least one clip"):
        case.engine.condition([], ProgressReporter())


def test_an_option_out_of_range_is_named(name: str) -> None:
    cls = get_options_class(name)
    for field in list_option_fields(cls):
        if field.info.high is not None:
            with pytest.raises(ValueError, match=field.name):
                cls(**{field.name: field.plain_type(2 * field.info.high + 1)})


def test_a_folder_that_is_no_model_is_refused(name: str, tmp_path: Path) -> None:
    for folder in (tmp_path / "none", tmp_path):
        with pytest.raises(ValueError, match="model"):
            get_engine_class(name).load(folder, CPU)
