"""What one request leaves for the next: weights, caches, warnings, timings, threads, seeds."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from core.paths import ProjectPaths
from core.progress import Cancelled, ProgressEvent, ProgressReporter
from engines.protocols import SynthesisOutput, SynthesisWarning
from engines.speaker_latents import SpeakerLatents
from studio.schemas.settings import Settings
from studio.schemas.speech import SpeechRequest
from studio.synthesis.audio_metadata import read_metadata
from studio.synthesis.planning import derive_chunk_seed
from studio.synthesis.request_builder import SpeechRequestInput, build_request
from studio.workers.synthesis.synthesizer import Synthesizer
from support.fake_engine import FakeEngine
from support.tiny_bundle import make_tiny_bundle

Ask = Callable[..., SpeechRequest]


@pytest.fixture
def ask(layout: ProjectPaths, tmp_path: Path) -> Ask:
    def request(
        text: str, name: str = "a.wav", options: dict[str, Any] | None = None, **fields: Any
    ) -> SpeechRequest:
        speech = SpeechRequestInput(
            text=text,
            voice="alice",
            out=str(tmp_path / name),
            options={"seed": 7, **(options or {})},
            delivery={"delimiter": "\\n"},
            request_fields=fields,
        )
        return build_request(Settings(), speech, layout)

    return request


def replace_weights(folder: Path, content: bytes) -> None:
    """Replace the weights as an export does: same name, same size, written beside and renamed."""
    part = folder / "weights.part"
    part.write_bytes(content)
    part.replace(folder / "weights")


def test_weights_replaced_under_the_same_name_are_loaded_before_the_next_request(
    layout: ProjectPaths, ask: Ask
) -> None:
    synthesizer = Synthesizer(layout)
    first = synthesizer.speak(ask("One."), ProgressReporter())
    synthesizer.speak(ask("One."), ProgressReporter())
    assert len(FakeEngine.loads) == 1
    replace_weights(layout.models / "starter", b"same numbers")
    second = synthesizer.speak(ask("One.", "b.wav"), ProgressReporter())
    assert len(FakeEngine.loads) == 2
    assert read_metadata(Path(first.path)).weights_id != read_metadata(Path(second.path)).weights_id


def test_a_loaded_model_keeps_the_id_of_the_weights_that_it_holds(
    layout: ProjectPaths, ask: Ask, monkeypatch: pytest.MonkeyPatch, real_engines: object
) -> None:
    """Another checkpoint exported under one name: neither clip nor cache may mix the two."""
    monkeypatch.setattr("engines.registry.ENGINES", real_engines)
    quick = {"samples": 2, "iterations": 2, "max_codes": 8}
    for seed in (0, 9):
        make_tiny_bundle(layout.models / f"seed{seed}", seed=seed)
        make_tiny_bundle(layout.models / "finetunes" / "alice", seed=0)
    fresh = [
        Synthesizer(layout).speak(
            ask("hello there", f"fresh{seed}.wav", quick, bundle=f"seed{seed}"), ProgressReporter()
        )
        for seed in (0, 9)
    ]
    warm = Synthesizer(layout)
    records = []
    for number, seed in enumerate((0, 9)):
        make_tiny_bundle(layout.models / "finetunes" / "alice", seed=seed)
        request = ask("hello there", f"warm{number}.wav", quick, bundle="finetunes/alice")
        records.append(read_metadata(Path(warm.speak(request, ProgressReporter()).path)))
    expected = [read_metadata(Path(clip.path)) for clip in fresh]
    assert [one.weights_id for one in records] == [one.weights_id for one in expected]
    assert [one.speakers for one in records] == [one.speakers for one in expected]
    assert [one.score for one in records] == [one.score for one in expected]


def test_latents_cached_by_a_version_that_could_mix_weights_are_computed_again(
    layout: ProjectPaths, ask: Ask
) -> None:
    alice = layout.voices / "alice"
    weights_id = FakeEngine((layout.models / "starter" / "weights").read_bytes()).weights_id
    facts = {"format": 1, "weights": weights_id, "knobs": {"crop": "whole"}}
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for clip in ("one.wav", "two.wav"):
        digest.update(hashlib.sha256((alice / clip).read_bytes()).hexdigest().encode())
    old = layout.latents_cache_dirs(alice)[0] / f"tortoise-{digest.hexdigest()[:20]}.safetensors"
    old.parent.mkdir()
    wrong = {"pitch": torch.full((1,), 0.9)}
    SpeakerLatents(engine="tortoise", weights_id=weights_id, tensors=wrong).save(old)
    Synthesizer(layout).speak(ask("One."), ProgressReporter())
    assert len(FakeEngine.listened) == 1, "the wrong latents were used again"
    assert not old.exists(), "the wrong latents stay on the disk"
    Synthesizer(layout).speak(ask("One.", "b.wav"), ProgressReporter())
    assert len(FakeEngine.listened) == 1, "the right latents are cached"


def test_warnings_and_timings_of_one_line_stay_with_it(
    layout: ProjectPaths, ask: Ask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    synthesize = FakeEngine.synthesize

    def warn_once(
        self: FakeEngine, text: str, speaker: Any, options: Any, report: ProgressReporter
    ) -> SynthesisOutput:
        output = synthesize(self, text, speaker, options, report)
        if text == "Two.":
            with report.stage("special"):
                pass
            warning = SynthesisWarning(message="It may be cut short.")
            output = replace(output, warnings=(warning,))
        return output

    monkeypatch.setattr(FakeEngine, "synthesize", warn_once)
    spoken = Synthesizer(layout).speak(ask("One.\nTwo.\nThree."), ProgressReporter())
    lines = [read_metadata(Path(take.path)) for take in spoken.lines]
    assert [line.warnings for line in lines] == [(), ("It may be cut short.",), ()]
    assert [("special" in line.took) for line in lines] == [False, True, False]
    assert all("draft" in line.took and "load" not in line.took for line in lines)
    whole = read_metadata(Path(spoken.path))
    assert whole.warnings == spoken.warnings == ("It may be cut short.",)
    assert {"draft", "special", "load"} <= whole.took.keys()


def test_timings_of_an_earlier_request_stay_out_of_the_next_ones_metadata(
    layout: ProjectPaths, ask: Ask
) -> None:
    report, synthesizer = ProgressReporter(), Synthesizer(layout)
    synthesizer.speak(ask("One."), report)
    second = synthesizer.speak(ask("Two.", "b.wav"), report)
    assert "load" in report.timings and "load" not in read_metadata(Path(second.path)).took


def test_a_stop_reaches_the_engine_in_the_middle_of_a_line(layout: ProjectPaths, ask: Ask) -> None:
    heard: list[ProgressEvent] = []
    report = ProgressReporter(heard.append, lambda: any(event.stage == "draft" for event in heard))
    with pytest.raises(Cancelled):
        Synthesizer(layout).speak(ask("One."), report)
    assert [event.stage for event in heard].count("draft") == 1


def test_threads_0_undoes_an_earlier_number(layout: ProjectPaths, ask: Ask) -> None:
    before = torch.get_num_threads()
    try:
        synthesizer = Synthesizer(layout)
        other = before + 1
        synthesizer.speak(ask("One.", threads=other), ProgressReporter())
        assert torch.get_num_threads() == other
        synthesizer.speak(ask("One.", "b.wav", threads=0), ProgressReporter())
        assert torch.get_num_threads() == before
    finally:
        torch.set_num_threads(before)


def test_chunks_of_neighbouring_seeds_share_no_seed() -> None:
    seeds = [derive_chunk_seed(seed, index) for seed in range(20) for index in range(20)]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**53 for seed in seeds), "a browser keeps whole numbers below 2**53"


def test_the_first_chunk_keeps_the_seed_of_the_request() -> None:
    assert [derive_chunk_seed(seed, 0) for seed in (0, 7, 2**63 - 1)] == [0, 7, 2**63 - 1]


def test_a_model_that_changes_while_it_is_in_use_is_not_mixed(tmp_path: Path) -> None:
    from engines.model_files import ModelFileError
    from tortoise.checkpoints.loading import load_model

    folder = make_tiny_bundle(tmp_path / "tiny", seed=0)
    model = load_model(folder)
    before = model.weights_id
    _ = model.gpt
    make_tiny_bundle(folder, seed=9)
    os.utime(folder / "clvp.safetensors")
    assert model.weights_id == before
    with pytest.raises(ModelFileError, match="changed"):
        _ = model.clvp
