"""Joining and cutting: no clicks, the chosen silence, no sound beyond full scale."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from audio.clip import Clip
from audio.loudness import measure_loudness
from core.errors import AppError
from studio.schemas.speech import OutputOptions
from studio.synthesis.planning import TextSpan
from studio.workers.synthesis import clip_editing
from studio.workers.synthesis.clip_editing import (
    concatenate_clips,
    fade_edges,
    find_quietest_sample,
    finish_clip,
    join_audible_spans,
    locate_with_wav2vec2,
    require_memory_to_join,
)
from support.hugging_face_models import write_wav2vec2

RATE = 24_000


def clip(seconds: float, value: float = 0.5) -> Clip:
    return Clip(wave=torch.full((round(seconds * RATE),), value), sample_rate=RATE)


def test_the_chosen_silence_lies_between_clips() -> None:
    joined = concatenate_clips([clip(1), clip(2)], OutputOptions(pause_s=0.5))
    assert joined.duration_s == pytest.approx(3.5)
    assert torch.equal(joined.wave[RATE : RATE + RATE // 2], torch.zeros(RATE // 2))


def test_joins_never_jump() -> None:
    joined = concatenate_clips([clip(1), clip(1)], OutputOptions(pause_s=0.1, fade_ms=5))
    assert float(joined.wave.diff().abs().max()) < 0.01


def test_every_clip_is_faded_and_followed_by_its_pause() -> None:
    torch.manual_seed(0)
    options = OutputOptions(fade_ms=5)
    clips = [Clip(wave=torch.rand(RATE // 4) + 0.1, sample_rate=RATE) for _ in range(3)]
    parts = [torch.zeros(RATE // 10)]
    for one, pause_s in zip(clips, (0.2, 0.0, 0.3), strict=True):
        parts += [fade_edges(one.wave, 120), torch.zeros(round(pause_s * RATE))]
    joined = concatenate_clips(clips, options, (0.2, 0.0, 0.3), lead_s=0.1)
    assert torch.equal(joined.wave, torch.cat(parts))


def test_a_book_needs_the_memory_to_join_it(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = SimpleNamespace(available=1_000_000_000)
    monkeypatch.setattr(clip_editing.psutil, "virtual_memory", lambda: memory)
    require_memory_to_join(100_000, RATE)
    with pytest.raises(AppError, match=r"5\.8 hours of speech.* 5\.0 GB .*1\.0 GB are free"):
        require_memory_to_join(290_000, RATE)
    memory.available = 6_000_000_000
    require_memory_to_join(290_000, RATE)


def test_a_clip_alone_is_left_as_it_is() -> None:
    alone = clip(1)
    assert concatenate_clips([alone], OutputOptions()) is alone


def test_fades_fit_into_clips_shorter_than_they_are() -> None:
    assert fade_edges(torch.ones(5), 100).shape == (5,)
    assert torch.equal(fade_edges(torch.ones(1), 100), torch.ones(1))


def test_volume_scales_and_never_clips() -> None:
    assert float(finish_clip(clip(1), OutputOptions(volume=0.5)).wave.max()) == pytest.approx(0.25)
    assert float(finish_clip(clip(1), OutputOptions(volume=4.0)).wave.max()) == pytest.approx(1.0)


def test_a_clip_has_the_loudness_that_is_asked_for_whatever_its_volume() -> None:
    tone = replace(clip(2), wave=0.5 * torch.sin(torch.arange(2 * RATE) * 0.1))
    for volume in (0.2, 3.0):
        finished = finish_clip(tone, OutputOptions(volume=volume, loudness="-18"))
        assert measure_loudness(finished) == pytest.approx(-18, abs=0.3)


def test_the_ends_of_a_clip_are_faded() -> None:
    flat = replace(clip(1), wave=torch.full((RATE,), 0.5))
    finished = finish_clip(flat, OutputOptions(fade_in_ms=100, fade_out_ms=500)).wave
    assert finished[0] == 0 and float(finished[-1]) < 1e-3
    assert torch.all(finished[RATE // 10 : RATE // 2] == 0.5)
    assert float(finished[RATE * 3 // 4]) == pytest.approx(0.25, abs=1e-3)
    long = finish_clip(flat, OutputOptions(fade_in_ms=5_000, fade_out_ms=5_000)).wave
    assert long.shape == flat.wave.shape and float(long.max()) < 0.5


def test_flac_is_not_float() -> None:
    with pytest.raises(ValueError, match="bit_depth is '32 float'; flac can have 16 or 24"):
        OutputOptions(format="flac", bit_depth="32 float")
    assert OutputOptions(format="mp3", bit_depth="24").bit_depth == "24"  # has none


def test_the_rate_of_the_clip_is_chosen() -> None:
    finished = finish_clip(clip(1), OutputOptions(output_rate=44_100))
    assert finished.sample_rate == 44_100 and finished.duration_s == pytest.approx(1, abs=1e-3)


def test_a_cut_goes_where_it_is_quiet() -> None:
    wave = torch.full((RATE,), 0.5)
    wave[11_000:11_600] = 0
    assert 11_000 <= find_quietest_sample(wave, 12_000, RATE) <= 11_600


def test_only_what_is_heard_is_kept() -> None:
    wave = torch.cat([torch.full((RATE,), value) for value in (0.1, 0.2, 0.3)])
    passages = [
        TextSpan(text="one"),
        TextSpan(text="two", audible=False),
        TextSpan(text="three"),
    ]
    kept = join_audible_spans(Clip(wave=wave, sample_rate=RATE), [0.0, 1.0, 2.0], passages)
    assert kept is not None and kept.duration_s == pytest.approx(2, abs=0.25)
    middle = kept.wave[RATE // 2], kept.wave[-RATE // 2]
    assert [round(float(value), 1) for value in middle] == [0.1, 0.3]


def test_cutting_nearly_everything_away_counts_as_not_found() -> None:
    passages = [TextSpan(text="one", audible=False), TextSpan(text="two")]
    assert join_audible_spans(clip(1), [0.0, 0.99], passages) is None


@pytest.mark.parametrize(
    ("knobs", "match"),
    [
        ({"volume": 9.0}, "volume is 9.0"),
        ({"output_rate": 4_000}, "output_rate is 4000"),
        ({"output_rate": 44_100, "format": "opus"}, "opus can have"),
        ({"prompt": "[sad]"}, "needs no brackets"),
        ({"emotion": "bored"}, "must be one of"),
    ],
)
def test_a_delivery_out_of_range_is_refused(knobs: dict[str, object], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        replace(OutputOptions(), **knobs)  # type: ignore[arg-type]


def test_a_wav2vec2_model_locates_the_steering_words(tmp_path: Path) -> None:
    write_wav2vec2(tmp_path / "wav2vec2")
    passages = [
        TextSpan(text="I am really sad,", audible=False),
        TextSpan(text="she said nothing more.", audible=True),
    ]
    draw = torch.Generator().manual_seed(0)
    take = Clip(wave=0.3 * torch.rand(RATE * 4, generator=draw) - 0.15, sample_rate=RATE)
    texts = [passage.text for passage in passages]
    starts = locate_with_wav2vec2(texts, take, tmp_path)
    assert starts is not None and starts == sorted(starts)
    trimmed = join_audible_spans(take, starts, passages)
    assert trimmed is not None and 0.2 <= trimmed.duration_s < take.duration_s - 0.1
    assert locate_with_wav2vec2(texts, take, tmp_path / "none") is None
