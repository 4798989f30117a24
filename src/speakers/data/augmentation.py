"""Augmented copies of recordings: noise, a room, another pitch.

torchaudio adds noise, audio.effects shifts the pitch, and pyroomacoustics simulates the room (image
source method). audiomentations offers all three, but requires soxr below 1; the pitch shift of
librosa compiles for half a minute first.
"""

from __future__ import annotations

import hashlib
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torchaudio.functional import add_noise, fftconvolve

from audio.effects.chain import shift_pitch
from core.errors import AppError
from speakers.data.options import AugmentationOptions

# Any: modules of packages without types.

Wave = npt.NDArray[np.float32]
ROOM_SIZE_M = ((3.0, 2.5, 2.2), (9.0, 7.0, 3.5))  # shortest and longest edges
WALL_DISTANCE_M = 0.5
SOUND_ABSORPTION = (0.15, 0.6)
MAX_REFLECTIONS = 10


def augment(wave: Wave, sample_rate: int, options: AugmentationOptions, key: str) -> Wave:
    """Return an augmented copy: (n,) -> (n,).  key: the same key gives the same copy."""
    digest = hashlib.sha256(f"{options.augmentation_seed} {key}".encode()).digest()
    random = np.random.default_rng(np.frombuffer(digest, np.uint32))
    shift = random.uniform(-options.max_pitch_shift, options.max_pitch_shift)
    made = torch.from_numpy(wave)
    if shift:
        made = shift_pitch(made, sample_rate, shift)
    if options.room:
        response = simulate_room(sample_rate, random)
        made = fftconvolve(made, torch.from_numpy(response))[: len(wave)]
    if options.noise:
        snr = torch.tensor(random.uniform(options.lowest_snr, options.highest_snr))
        noise = torch.from_numpy(random.standard_normal(len(wave), dtype=np.float32))
        made = add_noise(made, noise, snr)
    peak = float(made.abs().max())
    result: Wave = (made / max(peak, 1.0)).to(torch.float32).numpy()
    return result


def simulate_room(sample_rate: int, random: np.random.Generator) -> Wave:
    """Return the impulse response of a box-shaped room, from its direct sound on: (k,).

    Raises AppError where pyroomacoustics is not installed.
    """
    acoustics = _import("pyroomacoustics")
    size = random.uniform(*ROOM_SIZE_M)
    room = acoustics.ShoeBox(
        size,
        fs=sample_rate,
        materials=acoustics.Material(random.uniform(*SOUND_ABSORPTION)),
        max_order=MAX_REFLECTIONS,
    )
    source, microphone = (random.uniform(WALL_DISTANCE_M, size - WALL_DISTANCE_M) for _ in range(2))
    room.add_source(source)
    room.add_microphone(microphone)
    room.compute_rir()
    response = np.asarray(room.rir[0][0], np.float32)
    direct = int(np.abs(response).argmax())
    cut: Wave = response[direct:] / np.abs(response[direct])
    return cut


def _import(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise AppError(
            f"This augmentation needs the package {name.partition('.')[0]}. Install it with "
            "`pip install -r requirements-extra.txt`, or leave the augmentation out.",
            code="missing_package",
        ) from error
