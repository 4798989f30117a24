"""What an engine promises, held for TorToiSe with a tiny bundle; then what only it can do."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from audio.clip import Clip
from core.progress import Cancelled, ProgressEvent, ProgressReporter
from engines.protocols import SpeechCandidate
from engines.speaker_latents import SpeakerLatents, interpolate_latents
from support.tiny_bundle import make_tiny_bundle
from tortoise.checkpoints.config import read_config, write_config
from tortoise.engine import TortoiseEngine
from tortoise.generation import sampling
from tortoise.generation.options import TortoiseOptions

TEXT = "hello there"
CPU = torch.device("cpu")


def options(**changes: object) -> TortoiseOptions:
    quick = {"samples": 5, "iterations": 3, "candidates": 2, "seed": 1, "max_codes": 12}
    return TortoiseOptions(**{**quick, **changes})  # type: ignore[arg-type]


def noise(seconds: float, seed: int = 0) -> Clip:
    rng = torch.Generator().manual_seed(seed)
    return Clip(wave=0.1 * torch.randn(round(seconds * 22_050), generator=rng), sample_rate=22_050)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture(scope="module")
def engine(folder: Path) -> TortoiseEngine:
    return TortoiseEngine.load(folder, CPU)


@pytest.fixture(scope="module")
def speaker(engine: TortoiseEngine) -> SpeakerLatents:
    return engine.condition([noise(1.0)], ProgressReporter())


Speak = Callable[..., Sequence[SpeechCandidate]]


@pytest.fixture
def speak(engine: TortoiseEngine, speaker: SpeakerLatents) -> Speak:
    def speak(
        text: str = TEXT, report: ProgressReporter | None = None, **changes: object
    ) -> Sequence[SpeechCandidate]:
        return engine.synthesize(
            text, speaker, options(**changes), report or ProgressReporter()
        ).candidates

    return speak


def same(first: Sequence[SpeechCandidate], second: Sequence[SpeechCandidate]) -> bool:
    pairs = zip(first, second, strict=True)
    return all(torch.equal(a.clip.wave, b.clip.wave) for a, b in pairs)


def test_the_same_seed_gives_the_same_takes_and_another_seed_others(speak: Speak) -> None:
    first = speak()
    assert same(first, speak())
    assert not same(first, speak(seed=2))


def test_without_a_seed_every_time_is_new(speak: Speak) -> None:
    assert not same(speak(seed=None), speak(seed=None))


def test_candidates_come_best_first_and_as_many_as_asked(speak: Speak) -> None:
    takes = speak(candidates=5)
    assert len(takes) == 5
    for ended in (True, False):
        scores = [take.score for take in takes if take.aux.finished is ended]
        assert scores == sorted(scores, reverse=True)
    assert len({take.aux.index for take in takes}) == 5


def test_the_best_take_does_not_depend_on_how_many_are_returned(speak: Speak) -> None:
    assert same(speak(candidates=1), speak(candidates=3)[:1])


def test_clips_are_sound_at_the_engines_rate(engine: TortoiseEngine, speak: Speak) -> None:
    for take in speak():
        assert take.clip.sample_rate == engine.sample_rate == 24_000
        assert torch.isfinite(take.clip.wave).all()
        assert take.clip.wave.abs().max() <= 1
        frames = len(take.aux.codes) * 4 * 24_000 // 22_050
        assert take.clip.wave.shape == (frames * 256,)
        assert take.aux.latents.shape[:2] == (1, len(take.aux.codes))


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
def test_speed_changes_the_length_alone(speak: Speak) -> None:
    normal, fast = (speak(seed=3, speed=speed)[0].clip.wave for speed in (1.0, 1.25))
    assert len(fast) == pytest.approx(len(normal) / 1.25, rel=0.002)


def test_synthesize_returns_the_candidates_and_their_scores(
    engine: TortoiseEngine, speaker: SpeakerLatents
) -> None:
    heard: list[ProgressEvent] = []
    output = engine.synthesize(TEXT, speaker, options(), ProgressReporter(heard.append))
    assert len(output.candidates) == len(output.scores) == 2
    assert output.resolved_options == {}
    assert {"draft", "rank", "diffusion", "vocode"} <= {event.stage for event in heard}


@pytest.mark.parametrize("after", [1, 4, 16, 20])
def test_it_stops_within_one_report(speak: Speak, after: int) -> None:
    heard: list[ProgressEvent] = []
    report = ProgressReporter(heard.append, stopped=lambda: len(heard) >= after)
    with pytest.raises(Cancelled):
        speak(report=report)
    assert len(heard) == after


@pytest.mark.parametrize(
    ("knob", "value"),
    [
        ("temperature", 0.0),
        ("samples", 0),
        ("iterations", 1),
        ("top_p", 1.5),
        ("pause_size", -1),
        ("cvvp_weight", 2.0),
        ("diffusion_sampler", "euler"),
        ("vocoder", "griffin"),
        ("candidates", 6),
    ],
)
def test_an_option_out_of_range_is_named(knob: str, value: object) -> None:
    with pytest.raises(ValueError, match=knob):
        options(**{knob: value})


def test_presets_are_those_of_the_original() -> None:
    told = {
        name: (p["samples"], p["iterations"], p["cond_free"])
        for name, p in TortoiseOptions.presets().items()
    }
    assert told == {
        "ultra_fast": (16, 30, False),
        "fast": (96, 80, True),
        "standard": (256, 200, True),
        "high_quality": (256, 400, True),
    }
    assert TortoiseOptions.preset("ultra_fast", seed=3) == TortoiseOptions(seed=3)
    with pytest.raises(ValueError, match="preset is 'fats'"):
        TortoiseOptions.preset("fats")


def test_inputs_the_global_random_state_and_the_screen_are_left_alone(
    engine: TortoiseEngine, capfd: pytest.CaptureFixture[str]
) -> None:
    clip = noise(1.0)
    wave, state = clip.wave.clone(), torch.get_rng_state()
    heard = engine.condition([clip], ProgressReporter())
    before = {name: tensor.clone() for name, tensor in heard.tensors.items()}
    engine.synthesize(TEXT, heard, options(), ProgressReporter())
    engine.sample_random_speaker(3, ProgressReporter())
    assert torch.equal(clip.wave, wave)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(before[name], tensor) for name, tensor in heard.tensors.items())
    assert capfd.readouterr() == ("", "")


def test_loading_leaves_the_global_random_state_alone(folder: Path) -> None:
    state = torch.get_rng_state()
    engine = TortoiseEngine.load(folder, CPU)
    engine.synthesize(
        TEXT, engine.condition([noise(1.0)], ProgressReporter()), options(), ProgressReporter()
    )
    assert torch.equal(torch.get_rng_state(), state)


def test_a_voice_survives_saving(
    engine: TortoiseEngine, speaker: SpeakerLatents, tmp_path: Path, speak: Speak
) -> None:
    speaker.save(tmp_path / "voice.safetensors")
    again = SpeakerLatents.load(tmp_path / "voice.safetensors")
    assert same(engine.synthesize(TEXT, again, options(), ProgressReporter()).candidates, speak())


def test_two_engines_of_one_bundle_say_the_same(
    folder: Path, speaker: SpeakerLatents, speak: Speak
) -> None:
    other = TortoiseEngine.load(folder, CPU)
    assert same(other.synthesize(TEXT, speaker, options(), ProgressReporter()).candidates, speak())


@pytest.mark.parametrize("change", [{"sample_batch_size": 2}, {"low_vram": True}])
def test_how_it_fits_into_memory_changes_nothing(speak: Speak, change: dict[str, object]) -> None:
    for plain, other in zip(speak(), speak(**change), strict=True):
        assert torch.equal(plain.aux.codes, other.aux.codes)
        torch.testing.assert_close(plain.clip.wave, other.clip.wave, atol=1e-4, rtol=1e-3)


def test_half_precision_speaks(speak: Speak) -> None:
    takes = speak(half_precision=True)
    assert all(torch.isfinite(take.clip.wave).all() for take in takes)
    assert all(take.aux.latents.dtype == torch.float32 for take in takes)


def test_other_precisions_speak_and_say_what_was_computed(
    engine: TortoiseEngine, speaker: SpeakerLatents, speak: Speak
) -> None:
    exact = speak()
    near = speak(precision="float32")
    for plain, other in zip(exact, near, strict=True):
        assert torch.equal(plain.aux.codes, other.aux.codes)
        torch.testing.assert_close(plain.aux.latents, other.aux.latents, atol=1e-4, rtol=1e-3)
        torch.testing.assert_close(plain.clip.wave, other.clip.wave, atol=1e-3, rtol=1e-2)
    for precision in ("bfloat16", "int8", "fast"):
        output = engine.synthesize(TEXT, speaker, options(precision=precision), ProgressReporter())
        assert all(torch.isfinite(one.clip.wave).all() for one in output.candidates)
        used = output.resolved_options.get("precision", precision)
        assert used in ("exact", "float32", "bfloat16", "int8")
    assert same(exact, speak()), "packed networks must not change the exact ones"


@pytest.mark.parametrize("sampler", ["p", "ddim", "dpm"])
def test_every_sampler_speaks_in_its_own_way(speak: Speak, sampler: str) -> None:
    ours = speak(diffusion_sampler=sampler, candidates=1)
    others = [s for s in ("p", "ddim", "dpm") if s != sampler]
    assert not any(same(ours, speak(diffusion_sampler=s, candidates=1)) for s in others)


def test_more_iterations_than_the_weights_are_good_for_are_not_taken(tmp_path: Path) -> None:
    folder = make_tiny_bundle(tmp_path / "small")
    config = read_config(folder)
    small = replace(config.conventions, most_iterations=3)
    write_config(folder, replace(config, conventions=small))
    engine = TortoiseEngine.load(folder, CPU)
    speaker = engine.condition([noise(1.0)], ProgressReporter())
    steps: list[int | None] = []
    report = ProgressReporter(
        lambda event: steps.append(event.total if event.stage == "diffusion" else 3)
    )

    def speak(iterations: int, report: ProgressReporter) -> Sequence[SpeechCandidate]:
        return engine.synthesize(TEXT, speaker, options(iterations=iterations), report).candidates

    many = speak(30, report)
    assert set(steps) == {3}
    assert same(many, speak(3, ProgressReporter()))
    assert not same(many, speak(2, ProgressReporter()))


@pytest.mark.parametrize("vocoder", ["univnet", "bigvgan", "istft", "hifigan"])
def test_every_vocoder_of_the_bundle_speaks(
    engine: TortoiseEngine, speak: Speak, vocoder: str
) -> None:
    network = {"univnet": "vocoder", "istft": "istft_vocoder"}.get(vocoder, vocoder)
    if not engine.bundle.has(network):
        with pytest.raises(ValueError, match=f"vocoder '{vocoder}'"):
            speak(vocoder=vocoder)
        return
    heard: list[ProgressEvent] = []
    takes = speak(vocoder=vocoder, report=ProgressReporter(heard.append))
    assert all(take.clip.wave.abs().max() > 0 for take in takes)
    assert any(event.stage == "diffusion" for event in heard) is (vocoder != "hifigan")


def test_the_likeness_to_the_voice_can_decide(speak: Speak) -> None:
    by_text, by_voice = speak(candidates=5), speak(candidates=5, cvvp_weight=1.0)
    assert {t.aux.index for t in by_text} == {t.aux.index for t in by_voice}
    assert [t.score for t in by_text] != [t.score for t in by_voice]


def test_a_slim_voice_speaks_but_cannot_be_ranked_by_likeness(engine: TortoiseEngine) -> None:
    slim = engine.condition_with_options(
        [noise(1.0)], options(slim_latents=True), ProgressReporter()
    )
    assert set(slim.tensors) == {"gpt", "diffusion"}
    assert engine.synthesize(TEXT, slim, options(), ProgressReporter()).candidates
    with pytest.raises(ValueError, match=r"cvvp_weight is 0\.5.*no CVVP part"):
        engine.synthesize(TEXT, slim, options(cvvp_weight=0.5), ProgressReporter())


def test_what_is_heard_of_the_clips_follows_the_knobs(engine: TortoiseEngine) -> None:
    clips = [noise(3.0), noise(1.5, seed=1)]

    def hear(**changes: object) -> torch.Tensor:
        return engine.condition_with_options(clips, options(**changes), ProgressReporter()).tensors[
            "diffusion"
        ]

    ways = [hear(), hear(voice_crop="original"), hear(voice_crop="chunks"), hear(voice_chunk_s=3)]
    assert all(not torch.equal(a, b) for i, a in enumerate(ways) for b in ways[:i])


def test_made_up_voices_speak_and_blend_with_real_ones(
    engine: TortoiseEngine, speaker: SpeakerLatents
) -> None:
    made_up, again, other = (
        engine.sample_random_speaker(seed, ProgressReporter()) for seed in (1, 1, 2)
    )
    assert torch.equal(made_up.tensors["gpt"], again.tensors["gpt"])
    assert not torch.equal(made_up.tensors["gpt"], other.tensors["gpt"])
    mixed = interpolate_latents([(made_up, 1.0), (speaker, 3.0)])
    assert engine.synthesize(TEXT, mixed, options(), ProgressReporter()).candidates


def test_a_voice_of_other_weights_is_refused(engine: TortoiseEngine, tmp_path: Path) -> None:
    other = TortoiseEngine.load(make_tiny_bundle(tmp_path / "other", seed=9), CPU)
    foreign = other.condition([noise(1.0)], ProgressReporter())
    with pytest.raises(ValueError, match="Compute them again from the clips"):
        engine.synthesize(TEXT, foreign, options(), ProgressReporter())


def test_the_text_cleaning_is_that_of_the_options(speak: Speak, engine: TortoiseEngine) -> None:
    written, read = "it is 5% of 2 km.", "it is five percent of two kilometers."
    assert same(speak(written), speak(read, text_cleaning="published"))
    assert not same(speak(written), speak(written, text_cleaning="published"))
    assert engine.count_tokens(written) == engine.count_tokens(read)


def test_text_beyond_the_limit_or_without_sound_is_refused(
    engine: TortoiseEngine, speak: Speak
) -> None:
    long = "a" * (engine.text_limit + 1)
    assert engine.count_tokens(long) == engine.text_limit + 1
    with pytest.raises(ValueError, match="Split it into shorter chunks"):
        speak(long)
    with pytest.raises(ValueError, match="nothing to speak"):
        speak("")
    assert speak(long[:-1], samples=1, candidates=1)


def test_no_clips_make_no_voice(engine: TortoiseEngine) -> None:
    with pytest.raises(ValueError, match="at least one clip"):
        engine.condition([], ProgressReporter())


def test_a_candidate_that_never_ended_is_warned_about(
    engine: TortoiseEngine, speaker: SpeakerLatents
) -> None:
    short = options(max_codes=1, samples=4, candidates=4)
    warnings = engine.synthesize(TEXT, speaker, short, ProgressReporter()).warnings
    assert len(warnings) == 1 and "ended within 1 codes" in warnings[0].message


def test_memory_that_runs_out_is_warned_about_once_and_the_batch_that_fits_is_returned(
    engine: TortoiseEngine, speaker: SpeakerLatents, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = sampling.BatchedSampler.steps

    def only_two(self: sampling.BatchedSampler) -> Iterator[int]:
        if len(self.uniform) > 2:
            raise torch.OutOfMemoryError("no room")
        return steps(self)

    monkeypatch.setattr(sampling.BatchedSampler, "steps", only_two)
    output = engine.synthesize(TEXT, speaker, options(), ProgressReporter())
    (warning,) = (one for one in output.warnings if one.topic == "memory")
    assert warning.message == "Out of memory; continuing with 2 samples at a time."
    assert output.resolved_options == {"sample_batch_size": 2}


def test_parts_are_found_in_any_candidate_of_the_engine_but_not_in_a_clip_from_a_file(
    engine: TortoiseEngine, speaker: SpeakerLatents, speak: Speak
) -> None:
    [take] = speak(candidates=1)
    speak(text="hello", candidates=1)  # what is spoken in between changes nothing
    read = SpeechCandidate(clip=noise(1.0))
    assert engine.align(["hello", "there"], read, speaker, ProgressReporter()) is None
    copied = replace(take, clip=replace(take.clip, wave=take.clip.wave.clone()))
    starts, again = (
        engine.align(["hello", "there"], one, speaker, ProgressReporter()) for one in (take, copied)
    )
    assert starts == again
    assert starts is None or (starts == sorted(starts) and len(starts) == 2)


def test_a_bundle_that_lacks_a_network_cannot_speak(folder: Path, tmp_path: Path) -> None:
    broken = make_tiny_bundle(tmp_path / "broken")
    (broken / "gpt.safetensors").unlink()
    with pytest.raises(ValueError, match=r"lacks gpt\.safetensors and cannot generate speech"):
        TortoiseEngine.load(broken, CPU)


def test_the_pause_is_silence_where_the_weights_know_no_calm_behind_a_take(tmp_path: Path) -> None:
    folder = make_tiny_bundle(tmp_path / "own")
    config = read_config(folder)
    own = replace(config.conventions, calm_follows=False, clvp_trims_codes=True)
    write_config(folder, replace(config, conventions=own))
    engine = TortoiseEngine.load(folder, CPU)
    speaker = engine.condition([noise(1.0)], ProgressReporter())
    bare, paused = (
        engine.synthesize(
            TEXT, speaker, options(pause_size=pause, candidates=1), ProgressReporter()
        ).candidates[0]
        for pause in (0, 10)
    )
    added = paused.clip.wave.shape[0] - bare.clip.wave.shape[0]
    assert added > 0
    assert paused.clip.wave[-1] == 0
    assert len(paused.aux.codes) - len(bare.aux.codes) in range(11)
