"""What a run needs of memory and disk, before it has begun. Light."""

from __future__ import annotations

from training.config import FinetuneConfig
from training.suggest_facts import BundleFacts, DatasetFacts, MachineFacts, NetworkFacts

NUMBER = 4  # bytes of one number while learning
MEMORIES = 2  # numbers that AdamW remembers of each that learns
ADAPTED = 16  # widths that the adapters of a layer span: 1 + 3, 1 + 1, 1 + 4 and 4 + 1
STATES = 3  # the last, the last sound one, and one that is being written
SPARE_BYTES = 50_000_000
ACTIVATIONS = 17  # numbers kept per layer, place and unit of width (arXiv:2205.05198, 4.1, halved)
FRAMES_PER_CODE = 5  # of the diffusion's mel, rounded up
RESERVED = 0.8  # the share of a device's memory to count on
MOST_CLIPS = 64
HEARD_BYTES_PER_S = 34_000  # both mels in 16 bits, codes and tokens of one second


def learning_parameters(config: FinetuneConfig, bundle: BundleFacts) -> int:
    """Count the numbers of the GPT that learn, as far as its shape tells."""
    gpt, frozen = bundle.gpt, len(config.weights.frozen_layers)
    if config.weights.method == "lora":
        return max(0, gpt.layers - frozen) * config.weights.rank * gpt.width * ADAPTED
    return max(0, gpt.parameters - 12 * gpt.width**2 * frozen)


def memory_bytes(config: FinetuneConfig, bundle: BundleFacts, facts: DatasetFacts) -> int:
    """Estimate what the hungrier of the two stages needs; the dry step measures it."""
    rows = -(-config.optimizer.batch // config.machine.processes)
    fixed = _fixed_bytes(bundle.gpt, learning_parameters(config, bundle))
    needed = fixed + rows * _clip_bytes(bundle.gpt, _places(facts)) if config.schedule.steps else 0
    if config.diffusion.steps:
        own = _clip_bytes(bundle.diffusion, FRAMES_PER_CODE * config.diffusion.window)
        own = own * config.diffusion.batch + bundle.gpt.parameters * NUMBER
        own += _fixed_bytes(bundle.diffusion, bundle.diffusion.parameters)
        needed = max(needed, own + bundle.diffusion.parameters * NUMBER)  # and its average
    return needed


def fitting_batch(
    config: FinetuneConfig, bundle: BundleFacts, facts: DatasetFacts, machine: MachineFacts
) -> int:
    """Return the largest power of two of clips whose batch should fit; at least 1."""
    if machine.memory is None:
        return 1
    room = machine.memory * RESERVED - _fixed_bytes(bundle.gpt, learning_parameters(config, bundle))
    clips = int(room // max(1, _clip_bytes(bundle.gpt, _places(facts))))
    return min(MOST_CLIPS, 1 << (clips.bit_length() - 1)) if clips > 0 else 1


def checkpoint_bytes(config: FinetuneConfig, bundle: BundleFacts) -> int:
    """Bytes of a checkpoint of the last stage: numbers are stored as the model stores them."""
    size = bundle.diffusion.size if config.diffusion.steps else 0
    if config.schedule.steps:
        adapters = learning_parameters(config, bundle) if config.weights.method == "lora" else 0
        size += bundle.gpt.size + adapters * NUMBER
    return size


def peak_disk_bytes(
    config: FinetuneConfig, bundle: BundleFacts, facts: DatasetFacts, checkpoints: int
) -> int:
    """The most that a run has on the disk at any time.

    Kept checkpoints (the best of each stage and the last ones), one more while it is written, the
    states, and what was heard of the clips.
    """
    states = [0]
    if config.schedule.steps:
        learning = learning_parameters(config, bundle)
        states.append((bundle.gpt.parameters + MEMORIES * learning) * NUMBER)
    if config.diffusion.steps:  # its moving average is kept too
        states.append(bundle.diffusion.parameters * (2 + MEMORIES) * NUMBER)
    stages = len(states) - 1
    kept = min(checkpoints, config.checkpoints.keep_last + stages) + 1
    heard = round((facts.seconds + facts.validation_s) * HEARD_BYTES_PER_S)
    return kept * checkpoint_bytes(config, bundle) + STATES * max(states) + 2 * heard + SPARE_BYTES


def _places(facts: DatasetFacts) -> int:
    """Places of the longest sequence: voice, text, codes and their marks."""
    return facts.codes + facts.tokens + 6


def _fixed_bytes(network: NetworkFacts, learning: int) -> int:
    """Weights, gradients and the optimizer's memory."""
    return (network.parameters + learning * (1 + MEMORIES)) * NUMBER


def _clip_bytes(network: NetworkFacts, places: int) -> int:
    """What the backward pass looks back at for one row."""
    layer = ACTIVATIONS * places * network.width + 2 * network.heads * places * places
    return network.layers * layer * NUMBER
