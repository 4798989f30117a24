"""Where in a recording somebody speaks: silero-vad where it is installed, else by energy alone."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from audio.clip import Clip
from audio.energy_vad import VadOptions, compute_frame_levels_db, find_speech_spans
from audio.long_audio import Recording
from core.progress import ProgressReporter

if TYPE_CHECKING:
    from torch import Tensor


VAD_SAMPLE_RATE = 16_000  # Hz
WINDOW_SAMPLES = 512  # samples judged at a time
CONTEXT_SAMPLES = 64  # samples before them that are heard too
NUM_FREQUENCY_BINS = 129  # of a spectrum of 256 samples
WEIGHTS_FILE = "silero_vad_16k.safetensors"

LstmState: TypeAlias = tuple[Tensor, Tensor]


class SileroVad(nn.Module):
    """A spectrum, four convolutions, and a memory of the windows before."""

    def __init__(self) -> None:
        super().__init__()
        self.stft_conv = nn.Conv1d(1, 2 * NUM_FREQUENCY_BINS, 256, stride=128, bias=False)
        self.conv1 = nn.Conv1d(NUM_FREQUENCY_BINS, 128, 3, padding=1)
        self.conv2 = nn.Conv1d(128, 64, 3, stride=2, padding=1)
        self.conv3 = nn.Conv1d(64, 64, 3, stride=2, padding=1)
        self.conv4 = nn.Conv1d(64, 128, 3, padding=1)
        self.lstm_cell = nn.LSTM(128, 128)
        self.final_conv = nn.Conv1d(128, 1, 1)

    def forward(self, windows: Tensor, state: LstmState | None = None) -> tuple[Tensor, LstmState]:
        """Say how likely each window holds speech.

        windows: (w, CONTEXT + WINDOW) in a row;  state: of the windows before. Returns (w,) and
        the state after them.
        """
        padded = nn.functional.pad(windows[:, None], (0, CONTEXT_SAMPLES), mode="reflect")
        waves = self.stft_conv(padded)  # (w, 2 * BINS, f)
        heard = (
            waves[:, :NUM_FREQUENCY_BINS].square() + waves[:, NUM_FREQUENCY_BINS:].square()
        ).sqrt()
        for layer in (self.conv1, self.conv2, self.conv3, self.conv4):
            heard = layer(heard).relu()
        remembered, state = self.lstm_cell(heard[..., 0], state)  # (w, 128)
        likely = self.final_conv(remembered.relu().unsqueeze(-1)).sigmoid()  # (w, 1, 1)
        return likely[:, 0, 0], state


def is_silero_installed() -> bool:
    """Whether the package is here, and the weights in it."""
    return _find_weights_file() is not None


@lru_cache(maxsize=1)
def load_silero_vad() -> SileroVad:
    """Load the network; nothing is fetched."""
    path = _find_weights_file()
    if path is None:
        raise FileNotFoundError(f"silero-vad is not installed, or has no {WEIGHTS_FILE}.")
    held = load_file(path)
    renamed = {_rename_key(name): value for name, value in held.items()}
    network = SileroVad()
    network.load_state_dict(renamed)
    return network.eval().requires_grad_(False)


def _rename_key(name: str) -> str:
    """A cell's weights are those of the one layer that runs over the whole row."""
    return f"{name}_l0" if name.startswith("lstm_cell.") else name


def _find_weights_file() -> Path | None:
    found = find_spec("silero_vad")
    if found is None or not found.submodule_search_locations:
        return None
    path = Path(found.submodule_search_locations[0]) / "data" / WEIGHTS_FILE
    return path if path.is_file() else None


TimeSpan: TypeAlias = tuple[float, float]  # first and last second

BLOCK_S = 60.0  # looked at together by energy
WINDOWS_PER_BLOCK = 625  # windows between two looks whether to stop: 20 s
ONSET_THRESHOLD, OFFSET_THRESHOLD = (
    0.5,
    0.35,
)  # speech begins above the one and ends below the other
MIN_SILENCE_S = 0.15  # a shorter gap belongs to the speech around it
MIN_SPEECH_S = 0.1  # a shorter sound alone is a click
MAX_EDGE_SHIFT_S = 0.3  # how far an end may be moved to where its sound really ends
QUIETEST_WORD_DB = 35.0  # below the loud parts
ENERGY_VAD_OPTIONS = VadOptions(pause_s=MIN_SILENCE_S, burst_s=MIN_SPEECH_S, margin_s=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechTimestamps:
    """Where somebody speaks, in order, in seconds;  found_by: for people."""

    spans: tuple[TimeSpan, ...]
    method: str

    @property
    def seconds(self) -> float:
        """How long somebody speaks."""
        return sum(stop - start for start, stop in self.spans)

    def within(self, start_s: float, stop_s: float) -> list[TimeSpan]:
        """Return the speech between two seconds, cut off there."""
        inside = [(max(a, start_s), min(b, stop_s)) for a, b in self.spans]
        return [(a, b) for a, b in inside if b > a]


def detect_speech(recording: Recording, report: ProgressReporter) -> SpeechTimestamps:
    """Find the speech in a recording, edges at the very sound; may be stopped at any time."""
    if is_silero_installed():
        likely = torch.cat([*_iter_speech_probabilities(recording, report), torch.zeros(0)])
        spans = [
            _extend_to_audible_edges(span, recording)
            for span in probabilities_to_spans(likely.tolist())
        ]
        return SpeechTimestamps(spans=tuple(_merge_spans(spans)), method="silero-vad")
    return SpeechTimestamps(spans=tuple(_detect_by_energy(recording, report)), method="loudness")


def probabilities_to_spans(likely: Sequence[float]) -> list[TimeSpan]:
    """Turn how likely each window holds speech into stretches of speech, in seconds."""
    window = WINDOW_SAMPLES / VAD_SAMPLE_RATE
    runs: list[TimeSpan] = []
    start: float | None = None
    for at, share in enumerate([*likely, 0.0]):
        if start is None and share >= ONSET_THRESHOLD:
            start = at * window
        elif start is not None and share < OFFSET_THRESHOLD:
            runs.append((start, at * window))
            start = None
    closed: list[TimeSpan] = []
    for run in runs:
        if closed and run[0] - closed[-1][1] < MIN_SILENCE_S:
            closed[-1] = (closed[-1][0], run[1])
        else:
            closed.append(run)
    return [run for run in closed if run[1] - run[0] >= MIN_SPEECH_S]


def _iter_speech_probabilities(recording: Recording, report: ProgressReporter) -> Iterator[Tensor]:
    """Yield how likely each window holds speech, a strip of windows at a time: (w,)."""
    network = load_silero_vad()
    strip_s = WINDOWS_PER_BLOCK * WINDOW_SAMPLES / VAD_SAMPLE_RATE
    state, before = None, torch.zeros(CONTEXT_SAMPLES)
    with torch.inference_mode():
        for number in range(max(1, math.ceil(recording.duration_s / strip_s))):
            report.check_cancelled()
            part = (
                recording.extract_clip(number * strip_s, (number + 1) * strip_s)
                .resample(VAD_SAMPLE_RATE)
                .wave
            )
            wave = torch.cat([before, part, torch.zeros(-part.shape[0] % WINDOW_SAMPLES)])
            likely, state = network(
                wave.unfold(0, CONTEXT_SAMPLES + WINDOW_SAMPLES, WINDOW_SAMPLES), state
            )
            before = wave[-CONTEXT_SAMPLES:]
            yield likely


def _extend_to_audible_edges(span: TimeSpan, recording: Recording) -> TimeSpan:
    """Move the ends outwards to where the sound of the first and the last word ends.

    The network is late at soft onsets and early at soft endings.
    """
    around = (
        max(0.0, span[0] - MAX_EDGE_SHIFT_S),
        min(recording.duration_s, span[1] + MAX_EDGE_SHIFT_S),
    )
    clip = recording.extract_clip(*around)
    level = compute_frame_levels_db(clip)
    if not len(level):
        return span
    loud, quiet = float(level.quantile(0.9)), float(level.quantile(0.02))
    heard = level > max(loud - QUIETEST_WORD_DB, quiet + 8)
    hop = 0.010
    first, last = round((span[0] - around[0]) / hop), round((span[1] - around[0]) / hop)
    first, last = min(first, len(heard) - 1), min(last, len(heard)) - 1
    while first > 0 and bool(heard[first - 1]):
        first -= 1
    while last < len(heard) - 1 and bool(heard[last + 1]):
        last += 1
    start, stop = around[0] + first * hop, around[0] + last * hop + 0.025
    return min(start, span[0]), min(recording.duration_s, max(stop, span[1]))


def _detect_by_energy(recording: Recording, report: ProgressReporter) -> list[TimeSpan]:
    spans: list[TimeSpan] = []
    start = 0.0
    while start < recording.duration_s:
        report.check_cancelled()
        clip = recording.extract_clip(start, start + BLOCK_S)
        spans += [(start + a, start + b) for a, b in _find_energy_spans(clip)]
        start += BLOCK_S
    return _merge_spans(spans)


def _find_energy_spans(clip: Clip) -> list[TimeSpan]:
    rate = clip.sample_rate
    return [
        (span.start / rate, span.stop / rate)
        for span in find_speech_spans(clip, ENERGY_VAD_OPTIONS)
    ]


def _merge_spans(spans: Sequence[TimeSpan]) -> list[TimeSpan]:
    """Join what touches."""
    joined: list[TimeSpan] = []
    for start, stop in spans:
        if joined and start - joined[-1][1] < 0.02:
            joined[-1] = (joined[-1][0], max(stop, joined[-1][1]))
        else:
            joined.append((start, stop))
    return joined
