"""A synthesizer is finetuned on the utterances of a gold project, and compared with its start."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from audio.clip import Clip
from core.errors import AppError
from core.paths import ProjectPaths
from core.progress import ProgressReporter
from studio.datasets.gold_finetune import GoldFinetuneRequest, read_comparisons
from studio.workers.datasets.gold_finetune import finetune_on_gold
from support.gold_project import write_gold_project
from support.tiny_sv2tts import make_tiny_phoneme_model, make_tiny_sv2tts
from sv2tts.checkpoints import load_speaker_encoder, read_config, verify_model
from training.gold.project_files import UTTERANCES_FILE, UtteranceRow, read_rows, write_rows


@pytest.fixture
def layout(tmp_path: Path) -> ProjectPaths:
    """A studio with a tiny model and a project of 12 utterances."""
    layout = ProjectPaths.from_root(tmp_path)
    path = write_gold_project(layout) / UTTERANCES_FILE
    kept = read_rows(path, UtteranceRow)[0]
    rows = [
        replace(kept, id=f"{n:04d}-000", start=0.5 + n / 10, stop=2.5 + n / 10, text="Hello you.")
        for n in range(12)
    ]
    write_rows(path, rows)
    make_tiny_sv2tts(layout.models / "tiny")
    make_tiny_phoneme_model(layout.models / "phonemes")
    return layout


@pytest.mark.parametrize("model", ["tiny", "phonemes"])
def test_a_model_is_finetuned_and_compared(
    layout: ProjectPaths, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    monkeypatch.setattr("studio.workers.datasets.gold_finetune.MAX_STEPS", 2)
    monkeypatch.setattr("studio.workers.datasets.gold_finetune.JUDGED_LINES", 1)
    monkeypatch.setattr(  # of tones, which are no speech
        "sv2tts.data.preprocessing.shorten_pauses", lambda wave, rate: wave
    )

    def measure(clip: Clip, text: str, encoder: object, target: object) -> tuple[float, float]:
        return 0.5, 0.25

    monkeypatch.setattr("studio.workers.datasets.gold_finetune._measure", measure)
    monkeypatch.setattr(
        "studio.workers.datasets.gold_finetune._find_judge",
        lambda layout, base: load_speaker_encoder(base, read_config(base), torch.device("cpu")),
    )
    request = GoldFinetuneRequest(name="talk", model=model, speaker="Ann", batch_size=2)
    made = finetune_on_gold(layout, request, ProgressReporter())
    assert made.utterances == 9 and len(made.clips) == 3 and made.wer == (0.25, 0.25)
    folder = layout.training / "gold" / "talk"
    names = [name for clip in made.clips for name in (clip.recording, clip.before, clip.after)]
    assert all((folder / name).is_file() for name in names)
    base, target = layout.models / model, layout.models / made.run
    assert {path.name for path in base.iterdir()} == {path.name for path in target.iterdir()}
    assert not any(error for _, error in verify_model(target))
    assert "speaks as before" in made.message  # what is measured is the same for all
    before, after = (load_file(path / "synthesizer.safetensors") for path in (base, target))
    floats = [name for name, tensor in before.items() if tensor.is_floating_point()]
    assert all(torch.equal(before[name].float(), after[name].float()) for name in floats)
    assert read_comparisons(layout, "talk") == [made]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "none"}, "cannot be finetuned|can be finetuned"),
        ({"speaker": "Zoe"}, "has 0 kept utterances"),
        ({"name": "nothing"}, "no gold-standard project"),
    ],
)
def test_what_is_missing_is_named(
    layout: ProjectPaths, changes: dict[str, str], message: str
) -> None:
    values = {"name": "talk", "model": "tiny", "speaker": "Ann", **changes}
    with pytest.raises(AppError, match=message):
        finetune_on_gold(layout, GoldFinetuneRequest(**values), ProgressReporter())
