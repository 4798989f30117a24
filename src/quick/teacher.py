"""The speech of the package hibari-tts (Apache-2.0): one natural voice, at any pace, on the CPU.

Its phonemes, their durations and its F0 are read from its network, so all three are exact.
Shapes: n samples at 24 kHz, p phonemes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from itertools import accumulate

import numpy as np
import numpy.typing as npt

from core.errors import InvalidValueError, UnrecoverableError

PACKAGES = {"hibari": "hibari-tts", "onnx": "onnx", "onnxruntime": "onnxruntime"}
"""Module -> package."""

SAMPLE_RATE = 24_000  # Hz
DURATION_UNIT = 600  # samples, 25 ms: the unit of hibari's durations
LOWEST_F0 = 55.0  # Hz
DURATION_TENSOR = "/Clip_output_0"
PAD = "_"  # before and after each sentence, in the string of phonemes


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TeacherUtterance:
    """What hibari said.  wave: (n,) float32;  f0: (n / 300,) Hz, 0 where unvoiced."""

    wave: npt.NDArray[np.float32]
    f0: npt.NDArray[np.float32]
    phonemes: str  # one character each, p of them, `PAD` around each sentence
    durations: tuple[int, ...]  # (p,) in units of 600 samples; their sum is n / 600

    def list_ends(self) -> list[float]:
        """Return the seconds at which each phoneme ends, after a 0."""
        units = accumulate(self.durations, initial=0)
        return [count * DURATION_UNIT / SAMPLE_RATE for count in units]


class Teacher:
    """hibari-tts with its durations and F0.

    Raises UnrecoverableError naming a missing package.
    """

    def __init__(self) -> None:
        check_installed()
        hibari, onnx, onnxruntime = (import_module(name) for name in PACKAGES)
        self._hibari = hibari.Hibari()
        model = onnx.load(self._hibari.model_path)
        model.graph.output.append(onnx.helper.make_empty_tensor_value_info(DURATION_TENSOR))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(model.SerializeToString(), options)
        self._synthesize = hibari.dsp.synth

    def phonemize(self, text: str) -> str:
        """Return the phonemes of a text, sentence after sentence, with spaces between words."""
        return " ".join(self._hibari.phonemize(text))

    def speak(self, text: str, speed: float = 1.0, seed: int = 0) -> TeacherUtterance:
        """Speak a text, sentence after sentence.

        speed: 0.5 to 2; it changes the durations, not the pitch. Raises InvalidValueError for a
        text without a phoneme.
        """
        noise = np.random.default_rng(seed)
        waves, pitches, phonemes, durations = [], [], "", []
        for sentence in self._hibari.phonemize(text):
            known = "".join(char for char in sentence if char in self._hibari.vocab)
            inputs = {
                "ids": np.asarray([self._hibari.ids(known)], np.int64),
                "speed": np.asarray([speed], np.float32),
            }
            *spectra, lengths = self._session.run(None, inputs)
            parts = [part[0] for part in spectra]
            waves.append(self._synthesize(*parts, noise))
            pitches.append(np.where(parts[-1] > LOWEST_F0, parts[-1], 0.0))
            phonemes += PAD + known + PAD
            durations += [round(float(length)) for length in lengths]
        if not waves:
            raise InvalidValueError(f"There is nothing to speak in {text!r}.", code="unspeakable")
        return TeacherUtterance(
            wave=np.concatenate(waves).astype(np.float32),
            f0=np.concatenate(pitches).astype(np.float32),
            phonemes=phonemes,
            durations=tuple(durations),
        )


@lru_cache(maxsize=1)
def load_teacher() -> Teacher:
    """Return the speaker of this process."""
    return Teacher()


def check_installed() -> None:
    """Raise UnrecoverableError where a package is missing."""
    for module, package in PACKAGES.items():
        if find_spec(module) is None:
            raise UnrecoverableError(
                f"The engine quick needs the package {package}, which is not installed. Install it "
                "with: pip install -r requirements-extra.txt",
                code="missing_package",
            )
