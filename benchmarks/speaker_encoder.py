"""Measure the training of the speaker encoder, or compare encoders on recordings.

    python benchmarks/speaker_encoder.py speed [--speakers 64] [--utterances 10] [--steps 3]
    python benchmarks/speaker_encoder.py verify FOLDER ENCODER [ENCODER ...]

`speed` compares the loss and a whole training step with the formula of the paper written plainly:
torch.nn.LSTM and a loop over speakers and utterances. `verify` prints the equal error rate over all
pairs of recordings in FOLDER, which has one folder per speaker; ENCODER is a file, the folder of a
training, or `resemblyzer`. Seconds are processor time on one thread. Prints a JSON object each.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

from audio.io import read_clip  # noqa: E402
from speakers.embedding import embed_clip, load_encoder  # noqa: E402
from speakers.modules.eer import compute_eer  # noqa: E402
from speakers.modules.ge2e import (  # noqa: E402
    GE2EEncoder,
    compute_ge2e_loss,
    compute_similarities,
)

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
FRAMES, BINS, EMBEDDING = 160, 40, 256
MIN_LOSS_RUNS = 3


def compute_plain_loss(embeddings: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Equations 6, 8 and 9 of arXiv:1710.10467, utterance by utterance: (n, m, e) -> ()."""
    speakers, utterances = embeddings.shape[:2]
    losses = []
    for speaker in range(speakers):
        for utterance in range(utterances):
            scores = []
            for other in range(speakers):
                chosen = embeddings[other]
                if other == speaker:
                    chosen = torch.cat([chosen[:utterance], chosen[utterance + 1 :]])
                centroid = chosen.mean(0)
                cosine = embeddings[speaker, utterance] @ centroid / (centroid.norm() + 1e-5)
                scores.append(weight[0] * cosine + bias[0])
            losses.append(
                functional.cross_entropy(torch.stack(scores)[None], torch.tensor([speaker]))
            )
    return torch.stack(losses).mean()


def compute_vectorized_loss(embeddings: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The loss of the package."""
    return compute_ge2e_loss(compute_similarities(embeddings, weight, bias))


def time_loss(loss: Loss, embeddings: Tensor, runs: int) -> tuple[float, float]:
    """Return the seconds of the loss with its gradient, and its value."""
    weight, bias = torch.tensor([10.0]), torch.tensor([-5.0])
    started = time.process_time()
    for _ in range(runs):
        value = loss(embeddings.clone().requires_grad_(), weight, bias)
        value.backward()
    return (time.process_time() - started) / runs, float(value.detach())


def time_step(loss: Loss, frames: Tensor, shape: tuple[int, int], steps: int) -> float:
    """Return the seconds of a training step: network, loss, gradient, Adam."""
    torch.manual_seed(0)
    network = GE2EEncoder(BINS)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4)
    started = time.process_time()
    for _ in range(steps):
        optimizer.zero_grad()
        embeddings = network(frames).unflatten(0, shape)
        loss(embeddings, network.similarity_weight, network.similarity_bias).backward()
        optimizer.step()
    return (time.process_time() - started) / steps


def measure_speed(speakers: int, utterances: int, steps: int) -> dict[str, float]:
    """Compare the losses, and training steps with each of them."""
    generator = torch.Generator().manual_seed(0)
    embeddings = torch.rand(speakers, utterances, EMBEDDING, generator=generator)
    embeddings = functional.normalize(embeddings, dim=-1)
    frames = torch.rand(speakers * utterances, FRAMES, BINS, generator=generator)
    plain_s, plain = time_loss(compute_plain_loss, embeddings, 1)
    fast_s, fast = time_loss(compute_vectorized_loss, embeddings, 50 * MIN_LOSS_RUNS)
    assert abs(plain - fast) < 1e-4, (plain, fast)
    shape, count = (speakers, utterances), speakers * utterances
    plain_step_s = time_step(compute_plain_loss, frames, shape, 1)
    fast_step_s = time_step(compute_vectorized_loss, frames, shape, steps)
    return {
        "speakers": speakers,
        "utterances": utterances,
        "loss_plain_s": round(plain_s, 4),
        "loss_s": round(fast_s, 6),
        "loss_times_as_fast": round(plain_s / fast_s, 1),
        "utterances_per_s_plain": round(count / plain_step_s, 1),
        "utterances_per_s": round(count / fast_step_s, 1),
    }


def verify(folder: Path, name: str) -> dict[str, float | str]:
    """Return the equal error rate of an encoder over all pairs of recordings."""
    encoder = load_encoder(name)
    files = sorted(folder.rglob("*.flac")) or sorted(folder.rglob("*.wav"))
    vectors = np.stack([embed_clip(encoder, read_clip(file)) for file in files])
    speakers = np.array([file.parent.name for file in files])
    rows, columns = np.triu_indices(len(files), 1)
    scores, is_same = (vectors @ vectors.T)[rows, columns], speakers[rows] == speakers[columns]
    rate, threshold = compute_eer(scores, is_same)
    return {
        "encoder": name,
        "step": encoder.step,
        "recordings": len(files),
        "speakers": len(set(speakers)),
        "eer_percent": round(100 * rate, 2),
        "threshold": round(threshold, 4),
        "same_mean": round(float(scores[is_same].mean()), 4),
        "different_mean": round(float(scores[~is_same].mean()), 4),
    }


def main() -> None:
    """Read the command line and print the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    speed = commands.add_parser("speed")
    speed.add_argument("--speakers", type=int, default=64)
    speed.add_argument("--utterances", type=int, default=10)
    speed.add_argument("--steps", type=int, default=3)
    check = commands.add_parser("verify")
    check.add_argument("folder", type=Path)
    check.add_argument("encoders", nargs="+")
    parsed = parser.parse_args()
    torch.set_num_threads(1)
    if parsed.command == "speed":
        found = measure_speed(parsed.speakers, parsed.utterances, parsed.steps)
        sys.stdout.write(json.dumps(found) + "\n")
        return
    for name in parsed.encoders:
        sys.stdout.write(json.dumps(verify(parsed.folder, name)) + "\n")


if __name__ == "__main__":
    main()
