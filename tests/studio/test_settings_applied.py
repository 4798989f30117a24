"""Each setting has its effect: what is set is what happens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import soundfile
import torch

from audio.clip import Clip
from audio.io import read_clip
from core.errors import AppError
from core.paths import ProjectPaths
from core.progress import ProgressReporter
from studio.app.studio import Studio
from studio.datasets.prepare_request import PrepareRequest
from studio.model_store.lifecycle import DownloadModelRequest
from studio.schemas.settings import list_setting_fields
from studio.schemas.speech import SpeechRequest, SpeechResult
from studio.settings.sources import resolve_settings
from studio.synthesis.audio_metadata import read_metadata
from studio.synthesis.request_builder import (
    SpeechRequestInput,
    build_request,
    resolve_engine_options,
)
from studio.workers.datasets import prepare_dataset as tasks_prepare
from support.fake_engine import FakeEngine
from support.inline_worker import InlineStudio
from training.asr.base import TranscriberConfig


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch, real_engines: Mapping[str, tuple[str, str]]) -> None:
    """The real engine's options, so that its knobs are there; nothing is loaded."""
    monkeypatch.setattr("engines.registry.ENGINES", real_engines)


def asked(
    layout: ProjectPaths, wish: Mapping[str, Any] | None = None, **settings: Any
) -> SpeechRequest:
    """What is asked for when somebody has set this."""
    studio = Studio.open(layout.root, given=settings)
    made = SpeechRequestInput(**{"text": "Good day.", "voice": "alice", **(wish or {})})
    return build_request(studio.settings, made, studio.layout)


def spoken(layout: ProjectPaths, **settings: Any) -> SpeechResult:
    studio = Studio.open(layout.root, given=settings)
    request = build_request(
        studio.settings, SpeechRequestInput(text="Good day.", voice="alice"), studio.layout
    )
    return studio.speak(request, ProgressReporter())


@pytest.mark.usefixtures("engines")
def test_each_option_has_the_source_that_wins(layout: ProjectPaths) -> None:
    settings = Studio.open(
        layout.root, given={"options": {"voice_chunk_s": 2.0, "samples": 9}}
    ).settings
    given = SpeechRequestInput(preset="standard", options={"temperature": 0.3})
    (layout.model("starter") / "config.json").write_text(
        '{"advice": {"voice_chunk_s": 1.0, "candidates": 2}}'
    )
    resolved = resolve_engine_options(settings, layout, "starter", given=given)
    names = ("top_p", "candidates", "voice_chunk_s", "samples", "temperature")
    assert [(resolved.sources[name], resolved.values[name]) for name in names] == [
        ("default", resolved.values["top_p"]),
        ("the model", 2),
        ("settings.yaml", 2.0),
        ("preset", 256),
        ("request", 0.3),
    ]


@pytest.mark.usefixtures("engines")
def test_options_and_preset_of_the_usual_engine_are_not_those_of_another(
    layout: ProjectPaths,
) -> None:
    request = asked(
        layout,
        {"request_fields": {"engine": "quick"}, "options": {"speed": 1.5}},
        preset="standard",
        low_vram=True,
        options={"samples": 9},
    )
    assert {**request.options, "seed": 0} == {"speed": 1.5, "vocoder": "auto", "seed": 0}
    with pytest.raises(AppError, match=r"no preset 'fast'\. The engine has none"):
        asked(layout, {"request_fields": {"engine": "quick"}, "preset": "fast"})


def test_an_option_that_does_not_fit_names_where_it_comes_from(layout: ProjectPaths) -> None:
    layout.settings_file.write_text("options:\n  samples: 0\n")
    with pytest.raises(AppError, match=r"settings\.yaml, line 2: samples is 0; "):
        Studio.open(layout.root)
    layout.settings_file.unlink()
    with pytest.raises(AppError, match=r"samples is 0; it must be from 1 to \d+\.$"):
        asked(layout, {"options": {"samples": 0}})


@pytest.mark.usefixtures("engines")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("low_vram", True),
        ("sample_batch_size", 3),
        ("voice_chunk_s", 2.5),
        ("slim_latents", True),
    ],
)
def test_a_setting_that_is_a_knob_of_the_engine_turns_it(
    layout: ProjectPaths, name: str, value: object
) -> None:
    assert asked(layout).options[name] != value
    assert asked(layout, **{name: value}).options[name] == value
    over = asked(layout, {"options": {name: asked(layout).options[name]}}, **{name: value})
    assert over.options[name] != value, "who asks otherwise is heeded"


@pytest.mark.parametrize(
    ("name", "value"),
    [("device", "cuda:1"), ("threads", 3), ("embed", False), ("sidecar", True),
     ("embed_latents", True), ("bundle", "other")],
)  # fmt: skip
def test_a_setting_that_is_a_part_of_the_request_fills_it(
    layout: ProjectPaths, name: str, value: object
) -> None:
    assert getattr(asked(layout), name) != value
    assert getattr(asked(layout, **{name: value}), name) == value
    assert getattr(asked(layout, {"request_fields": {name: value}}), name) == value


def test_the_default_voice_and_preset_are_taken_where_none_is_named(layout: ProjectPaths) -> None:
    assert asked(layout, {"voice": None}, voice="bob").voice == "bob"
    assert asked(layout, preset="standard").options["samples"] == 256
    assert asked(layout, {"preset": "fast"}, preset="standard").options["samples"] == 96


def test_the_output_has_the_set_format_rate_and_volume(layout: ProjectPaths) -> None:
    plain = read_clip(Path(spoken(layout, options={"seed": 1}).path))
    clip = Path(
        spoken(layout, format="flac", output_rate=44_100, volume=0.5, options={"seed": 1}).path
    )
    assert clip.suffix == ".flac" and soundfile.info(clip).samplerate == 44_100
    quieter = read_clip(clip).wave.square().mean() / plain.wave.square().mean()
    assert float(quieter) == pytest.approx(0.25, rel=0.02)


def test_a_rate_that_the_asked_format_cannot_have_becomes_its_nearest(layout: ProjectPaths) -> None:
    asked_for = asked(layout, {"delivery": {"format": "opus"}}, output_rate=44_100)
    assert (asked_for.delivery.format, asked_for.delivery.output_rate) == ("opus", 48_000)
    with pytest.raises(AppError, match="opus can have"):
        asked(layout, {"delivery": {"format": "opus", "output_rate": 44_100}})


def test_metadata_is_embedded_or_not_as_set(layout: ProjectPaths) -> None:
    assert read_metadata(Path(spoken(layout).path)).text == "Good day."
    with pytest.raises(AppError, match="contains no settings"):
        read_metadata(Path(spoken(layout, embed=False).path))
    beside = Path(spoken(layout, embed=False, sidecar=True).path)
    assert read_metadata(beside).latents is None
    assert read_metadata(Path(spoken(layout, embed_latents=True).path)).latents


def test_voice_fixer_cleans_the_whole_clip_and_its_absence_is_reported(
    layout: ProjectPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("studio.diagnostics.voicefixer.REQUIRED_PACKAGES", ("no_such_package",))
    absent = spoken(layout, voice_fixer=True)
    assert "Voice Fixer is on but was skipped" in absent.warnings[0]
    asked_for: list[str] = []

    def fix(clip: Clip, device: str, report: ProgressReporter, **_: bool) -> Clip:
        asked_for.append(device)
        return replace(clip, wave=clip.wave * 0.5).resample(44_100)

    monkeypatch.setattr(
        "studio.workers.synthesis.voicefixer.describe_voicefixer_problem",
        lambda **_: "",
    )
    monkeypatch.setattr("studio.workers.synthesis.voicefixer.run_voicefixer", fix)
    fixed = spoken(layout, voice_fixer=True, voice_fixer_device="cuda")
    assert asked_for == ["cuda"] and fixed.warnings == ()
    assert soundfile.info(fixed.path).samplerate == soundfile.info(absent.path).samplerate


def test_threads_reach_torch(layout: ProjectPaths) -> None:
    before = torch.get_num_threads()
    try:
        spoken(layout, threads=1)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_a_device_that_is_not_there_is_refused_with_those_that_are(layout: ProjectPaths) -> None:
    with pytest.raises(AppError, match=r"There is no device 'cuda:7'.*auto"):
        spoken(layout, device="cuda:7")


def test_the_set_model_is_what_is_loaded(layout: ProjectPaths) -> None:
    other = layout.models / "other"
    other.mkdir()
    (other / "weights").write_bytes(b"other numbers")
    spoken(layout, bundle="other")
    assert [path.name for path in FakeEngine.loads] == ["other"]


def test_results_go_to_the_set_folder(layout: ProjectPaths, tmp_path: Path) -> None:
    clip = spoken(layout, results=str(tmp_path / "elsewhere"))
    assert Path(clip.path).is_relative_to(tmp_path / "elsewhere" / "alice")


def test_voices_and_models_are_taken_from_the_set_folders(
    layout: ProjectPaths, tmp_path: Path
) -> None:
    layout.voices.rename(tmp_path / "people")
    layout.models.rename(tmp_path / "weights")
    spoken(layout, voices=str(tmp_path / "people"), models=str(tmp_path / "weights"))
    assert FakeEngine.loads[0].is_relative_to(tmp_path / "weights")


def test_nothing_is_fetched_when_only_local_models_are_allowed(layout: ProjectPaths) -> None:
    with pytest.raises(AppError, match="Only Load Models Locally"):
        DownloadModelRequest(offline=True)
    assert DownloadModelRequest().name == "tortoise"


@pytest.mark.parametrize("address", ["hub.example.org", "ftp://x", "https://x/", "https://a:b@x"])
def test_a_mirror_is_an_address_without_a_login(layout: ProjectPaths, address: str) -> None:
    with pytest.raises(AppError, match="mirror is"):
        resolve_settings(layout, {"mirror": address})
    assert resolve_settings(layout, {"mirror": "https://hub.example.org"}).settings.mirror


def test_the_page_answers_as_many_at_once_as_set(layout: ProjectPaths) -> None:
    from webui.app import build_page

    studio = InlineStudio.open(layout.root, given={"concurrency": 3})
    assert build_page(studio)._queue.default_concurrency_limit == 3


def test_the_model_that_is_set_listens_where_it_is_here_and_nothing_is_fetched_offline(
    layout: ProjectPaths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wishes: list[TranscriberConfig] = []
    monkeypatch.setattr(
        tasks_prepare, "run_preparation", lambda job, report: wishes.append(job.wish)
    )
    layout.whisper.mkdir(parents=True)
    for name in ("tiny", "medium"):
        (layout.whisper / f"{name}.pt").touch()
    request = PrepareRequest(folder=str(tmp_path), fetch=True)
    hub = "https://hub.example.org"
    for given in (
        {"whisper_model": "tiny", "mirror": hub},
        {"whisper_model": "small", "offline": True},
    ):
        settings = Studio.open(layout.root, given=given).settings
        tasks_prepare.prepare_from_request(Studio(layout, settings), request, ProgressReporter())
    assert [(wish.model, wish.fetch) for wish in wishes] == [("tiny", True), ("", False)]
    assert [wish.mirror for wish in wishes] == [hub, ""]


HERE = {"low_vram", "sample_batch_size", "voice_chunk_s", "slim_latents", "device", "threads",
        "embed", "sidecar", "embed_latents", "bundle", "voice", "preset", "format", "output_rate",
        "volume", "results", "voices", "models", "offline", "concurrency", "voice_fixer",
        "voice_fixer_device", "check_updates", "whisper_model", "mirror"}  # fmt: skip
ELSEWHERE = {
    "engine": "the registry's own tests",
    "language": "tests/webui/test_languages.py",
    "listen": "tests/api",
    "openai_voices": "tests/api",
    "share": "tests/api",
}


def test_no_setting_is_forgotten_here() -> None:
    assert HERE | set(ELSEWHERE) == {item.name for item in list_setting_fields()}
