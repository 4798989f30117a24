"""Estimate the memory and disk space of a run before it starts."""

from __future__ import annotations

from training.finetuning.config.facts import DatasetFacts, MachineFacts, ModelFacts, NetworkFacts
from training.finetuning.config.schema import FinetuneConfig

BYTES_PER_NUMBER = 4  # of a parameter in training
OPTIMIZER_STATES_PER_PARAMETER = 2  # of AdamW
LORA_WIDTHS_PER_LAYER = 16  # inputs + outputs of its adapters: 1 + 3, 1 + 1, 1 + 4 and 4 + 1
SAVED_STATES = 3  # the last, the last sound one, and one that is being written
SPARE_BYTES = 50_000_000
ACTIVATIONS_PER_POSITION = 17  # per layer and unit of width (arXiv:2205.05198, 4.1, halved)
FRAMES_PER_CODE = 5  # of the diffusion's mel, rounded up
USABLE_MEMORY_SHARE = 0.8  # the share of a device's memory to count on
MAX_BATCH_SIZE = 64
FEATURE_BYTES_PER_S = 34_000  # both mels in 16 bits, codes and tokens of one second


def count_trainable_parameters(config: FinetuneConfig, bundle: ModelFacts) -> int:
    """Count the trainable parameters of the GPT from its shape."""
    gpt, frozen = bundle.gpt, len(config.weights.frozen_layers)
    if config.weights.method == "lora":
        return max(0, gpt.layers - frozen) * config.weights.rank * gpt.width * LORA_WIDTHS_PER_LAYER
    return max(0, gpt.parameters - 12 * gpt.width**2 * frozen)


def estimate_memory_bytes(config: FinetuneConfig, bundle: ModelFacts, facts: DatasetFacts) -> int:
    """Estimate the peak memory of the larger of the two stages; a batch probe measures it."""
    rows = -(-config.optimizer.batch // config.machine.processes)
    fixed = _estimate_fixed_bytes(bundle.gpt, count_trainable_parameters(config, bundle))
    needed = (
        fixed + rows * _estimate_activation_bytes(bundle.gpt, _count_positions(facts))
        if config.schedule.steps
        else 0
    )
    if config.diffusion.steps:
        own = _estimate_activation_bytes(
            bundle.diffusion, FRAMES_PER_CODE * config.diffusion.window
        )
        own = own * config.diffusion.batch + bundle.gpt.parameters * BYTES_PER_NUMBER
        own += _estimate_fixed_bytes(bundle.diffusion, bundle.diffusion.parameters)
        needed = max(
            needed, own + bundle.diffusion.parameters * BYTES_PER_NUMBER
        )  # and its average
    return needed


def estimate_max_batch_size(
    config: FinetuneConfig, bundle: ModelFacts, facts: DatasetFacts, machine: MachineFacts
) -> int:
    """Return the largest power of two as batch size that should fit; at least 1."""
    if machine.memory is None:
        return 1
    room = machine.memory * USABLE_MEMORY_SHARE - _estimate_fixed_bytes(
        bundle.gpt, count_trainable_parameters(config, bundle)
    )
    clips = int(room // max(1, _estimate_activation_bytes(bundle.gpt, _count_positions(facts))))
    return min(MAX_BATCH_SIZE, 1 << (clips.bit_length() - 1)) if clips > 0 else 1


def estimate_checkpoint_bytes(config: FinetuneConfig, bundle: ModelFacts) -> int:
    """Estimate the bytes of a checkpoint of the last stage, in the precision of the model."""
    size = bundle.diffusion.size if config.diffusion.steps else 0
    if config.schedule.steps:
        adapters = (
            count_trainable_parameters(config, bundle) if config.weights.method == "lora" else 0
        )
        size += bundle.gpt.size + adapters * BYTES_PER_NUMBER
    return size


def estimate_peak_disk_bytes(
    config: FinetuneConfig, bundle: ModelFacts, facts: DatasetFacts, checkpoints: int
) -> int:
    """Estimate the most that a run has on the disk at any time.

    Kept checkpoints (the best of each stage and the last ones), one more while it is written, the
    training states, and the cached features of the clips.
    """
    states = [0]
    if config.schedule.steps:
        learning = count_trainable_parameters(config, bundle)
        states.append(
            (bundle.gpt.parameters + OPTIMIZER_STATES_PER_PARAMETER * learning) * BYTES_PER_NUMBER
        )
    if config.diffusion.steps:  # its moving average is kept too
        states.append(
            bundle.diffusion.parameters * (2 + OPTIMIZER_STATES_PER_PARAMETER) * BYTES_PER_NUMBER
        )
    stages = len(states) - 1
    kept = min(checkpoints, config.checkpoints.keep_last + stages) + 1
    feature_bytes = round((facts.seconds + facts.validation_s) * FEATURE_BYTES_PER_S)
    return (
        kept * estimate_checkpoint_bytes(config, bundle)
        + SAVED_STATES * max(states)
        + 2 * feature_bytes
        + SPARE_BYTES
    )


def _count_positions(facts: DatasetFacts) -> int:
    # voice, text, codes and their start and stop tokens
    return facts.codes + facts.tokens + 6


def _estimate_fixed_bytes(network: NetworkFacts, learning: int) -> int:
    # weights, gradients and optimizer states
    return (network.parameters + learning * (1 + OPTIMIZER_STATES_PER_PARAMETER)) * BYTES_PER_NUMBER


def _estimate_activation_bytes(network: NetworkFacts, places: int) -> int:
    layer = ACTIVATIONS_PER_POSITION * places * network.width + 2 * network.heads * places * places
    return network.layers * layer * BYTES_PER_NUMBER
