"""A run is written as TensorBoard reads it, where that is installed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from training import tensorboard_events
from training.tensorboard_events import NoTensorboard, write_tensorboard


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run with a few events, junk among them, and a sample."""
    events = [
        {"kind": "begin", "time": 1.0, "step": 0, "steps": 2},
        {"kind": "step", "time": 2.0, "step": 1, "stage": "gpt", "loss": 2.5, "rate": 1e-4},
        {"kind": "validation", "time": 3.0, "step": 1, "stage": "gpt", "loss": 2.25},
        {"kind": "sample", "time": 4.0, "step": 1, "path": "samples/000001.wav", "wer": 0.5},
    ]
    lines = [json.dumps(event).encode() for event in events]
    junk = [b"\xff junk", b"[]", b'{"kind": "step", "step": 2, "loss": NaN}', b'{"kind": "st']
    (tmp_path / "events.jsonl").write_bytes(b"\n".join([*lines, *junk]))
    (tmp_path / "samples").mkdir()
    (tmp_path / "samples" / "000001.wav").write_bytes(b"RIFF of a sample")
    return tmp_path


def test_tensorboard_reads_back_what_the_run_told(run: Path) -> None:
    reading = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    folder = write_tensorboard(run)
    assert folder == write_tensorboard(run)  # again, in the place of the first
    seen = reading.EventAccumulator(str(folder)).Reload()
    told = {
        tag: [(item.step, item.value, item.wall_time) for item in seen.Scalars(tag)]
        for tag in seen.Tags()["scalars"]
    }
    rate = told.pop("gpt/rate")
    assert rate[0][1] == pytest.approx(1e-4)
    assert told == {
        "gpt/loss": [(1, 2.5, 2.0)],
        "gpt/validation": [(1, 2.25, 3.0)],
        "sample/wer": [(1, 0.5, 4.0)],
    }
    (sound,) = seen.Audio("sample/spoken")
    assert sound.encoded_audio_string == b"RIFF of a sample"


def test_without_tensorboard_it_is_said_how_to_get_it(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensorboard_events, "find_spec", lambda name: None)
    with pytest.raises(NoTensorboard, match=r"requirements-extra\.txt"):
        write_tensorboard(run)
    assert not (run / "tensorboard").exists()
