"""The curves and samples of a run for TensorBoard, which is an extra. Light.

    write_tensorboard(run)         then: tensorboard --logdir training/alice/runs

Made anew of events.jsonl whenever it is asked for, while the run goes on too.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

# Any: events are JSON; the messages of TensorBoard have no types.

FOLDER = "tensorboard"
EVENTS = "events.jsonl"
INSTALL = ".venv/bin/python -m pip install -r requirements-extra.txt"
MEASURED = {
    "step": ("loss", "mel", "text", "rate", "gradient", "seconds", "memory"),
    "validation": ("loss", "train_loss"),
    "sample": ("wer", "similarity"),
}


class NoTensorboard(RuntimeError):
    """TensorBoard is not installed; the message says how it is."""


def write_tensorboard(run: Path) -> Path:
    """Write what events.jsonl of a run says as TensorBoard reads it; returns the folder.

    Raises NoTensorboard where that is not installed.
    """
    if find_spec("tensorboard") is None:
        raise NoTensorboard(f"TensorBoard is not installed. Install it: {INSTALL}")
    messages = import_module("tensorboard.compat.proto.summary_pb2")
    event_of = import_module("tensorboard.compat.proto.event_pb2").Event
    writing = import_module("tensorboard.summary.writer.event_file_writer")
    folder, part = run / FOLDER, run / f".{FOLDER}.part"
    shutil.rmtree(part, ignore_errors=True)
    writer = writing.EventFileWriter(str(part))
    try:
        for told in read_events(run / EVENTS):
            values = list(_values(told, run, messages.Summary))
            if values:
                summary = messages.Summary(value=values)
                time, step = float(told.get("time", 0.0)), int(told["step"])
                writer.add_event(event_of(wall_time=time, step=step, summary=summary))
    finally:
        writer.close()
    shutil.rmtree(folder, ignore_errors=True)
    part.rename(folder)
    return folder


def read_events(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the whole events of a diary; what is none is passed over."""
    with path.open("rb") as lines:
        for line in lines:
            try:
                told = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(told, dict) and isinstance(told.get("step"), int):
                yield told


def _values(told: dict[str, Any], run: Path, summary: Any) -> Iterator[Any]:
    """Yield what one event shows: numbers under stage and name, and the sample as sound."""
    kind = str(told.get("kind"))
    for name in MEASURED.get(kind, ()):
        value = told.get(name)
        if isinstance(value, (int, float)) and math.isfinite(value):
            group = kind if kind == "sample" else str(told.get("stage") or "gpt")
            label = "validation" if (kind, name) == ("validation", "loss") else name
            yield summary.Value(tag=f"{group}/{label}", simple_value=float(value))
    if kind == "sample":
        sound = run / "samples" / Path(str(told.get("path"))).name
        if sound.is_file():
            audio = summary.Audio(encoded_audio_string=sound.read_bytes(), content_type="audio/wav")
            yield summary.Value(tag="sample/spoken", audio=audio)
