"""What a run needs of memory and disk, before it has begun. Light."""

from __future__ import annotations

from training.config import FinetuneConfig
from training.suggest_facts import BundleFacts, DatasetFacts, MachineFacts, NetworkFacts

NUMBER = 4  # bytes of one number in memory and in a checkpoint
STATE_NUMBERS = 3  # of each that learns: itself and two memories of AdamW
ADAPTED = 7  # widths that the adapters of one layer span, times rank
STATES = 3  # the last, the last sound one, and one that is being written
SPARE_BYTES = 50_000_000
ACTIVATIONS = 34  # numbers kept per layer, place and unit of width (arXiv:2205.05198, 4.1, in half)
FRAMES_PER_CODE = 5  # of the diffusion's mel, rounded up
RESERVED = 0.8  # the share of a device's memory to count on
MOST_CLIPS = 64


def learning_parameters(config: FinetuneConfig, bundle: BundleFacts) -> int:
    """Count the numbers of the GPT that learn, as far as its shape tells."""
    gpt = bundle.gpt
    if config.weights.method == "lora":
        free = gpt.layers - len(config.weights.frozen_layers)
        return max(0, free) * config.weights.rank * gpt.width * ADAPTED
    blocks = 12 * gpt.width * gpt.width * len(config.weights.frozen_layers)
    return max(0, gpt.parameters - blocks)


def memory_bytes(config: FinetuneConfig, bundle: BundleFacts, facts: DatasetFacts) -> int:
    """Estimate what the larger of the two stages needs; the dry step measures it."""
    gpt = _stage_bytes(
        bundle.gpt,
        learning_parameters(config, bundle),
        places=facts.codes + facts.tokens + 6,
        rows=-(-config.optimizer.batch // config.machine.processes),
    )
    if not config.diffusion.steps:
        return gpt
    places = FRAMES_PER_CODE * config.diffusion.window
    diffusion = bundle.diffusion
    return max(gpt, _stage_bytes(diffusion, diffusion.parameters, places, config.diffusion.batch))


def fitting_batch(
    config: FinetuneConfig, bundle: BundleFacts, facts: DatasetFacts, machine: MachineFacts
) -> int:
    """Return the largest power of two of clips whose batch should fit; at least 1."""
    if machine.memory is None:
        return 1
    fixed = _stage_bytes(bundle.gpt, learning_parameters(config, bundle), places=0, rows=0)
    each = _stage_bytes(bundle.gpt, 0, places=facts.codes + facts.tokens + 6, rows=1)
    each -= bundle.gpt.parameters * NUMBER
    clips = int((machine.memory * RESERVED - fixed) // max(1, each))
    return min(MOST_CLIPS, 1 << max(0, clips.bit_length() - 1)) if clips > 0 else 1


def checkpoint_bytes(config: FinetuneConfig, bundle: BundleFacts) -> int:
    """Bytes of a checkpoint of the last stage; those before hold no diffusion network."""
    networks = bundle.gpt.parameters
    networks += bundle.diffusion.parameters if config.diffusion.steps else 0
    return networks * NUMBER


def peak_disk_bytes(
    config: FinetuneConfig, bundle: BundleFacts, facts: DatasetFacts, checkpoints: int
) -> int:
    """The most that a run has on the disk at any time: kept checkpoints, one more, the states."""
    choice = config.checkpoints
    kept = min(checkpoints, choice.keep_last + int(choice.keep_best) + 1)
    gpt = (bundle.gpt.parameters + 2 * learning_parameters(config, bundle)) * NUMBER
    diffusion = bundle.diffusion.parameters * (STATE_NUMBERS + 1) * NUMBER
    state = max(gpt, diffusion if config.diffusion.steps else 0)
    return kept * checkpoint_bytes(config, bundle) + STATES * state + SPARE_BYTES


def _stage_bytes(network: NetworkFacts, learning: int, places: int, rows: int) -> int:
    """Weights, gradients and AdamW's memory, and what the backward pass looks back at."""
    fixed = network.parameters * NUMBER + learning * (STATE_NUMBERS) * NUMBER
    layer = ACTIVATIONS // 2 * places * network.width + 2 * network.heads * places * places
    return fixed + rows * network.layers * layer * NUMBER
