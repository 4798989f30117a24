"""Preflight checks of the base model. Light."""

from __future__ import annotations

from collections.abc import Iterator

from tortoise.checkpoints.layout import MEL_STATS_FILE, find_missing_files
from training.finetuning.config.facts import ModelFacts
from training.finetuning.config.schema import DEFAULT_SAMPLE_TEXT, FREEZABLE_PARTS, FinetuneConfig
from training.finetuning.preflight.findings import (
    FIX_IN_MODELS,
    PreflightFacts,
    PreflightFinding,
    PreflightInput,
)

MAX_SAFE_LEARNING_RATE = 1e-4  # learning rate of a whole published network


def make_unusable_model_finding(name: str, why: str) -> PreflightFinding:
    """Return the finding for a model that cannot be read."""
    return PreflightFinding(
        level="stop",
        kind="no_weights",
        what=f"The model {name!r} cannot be used.",
        why=why,
        fix="Choose another model, or download this one again.",
        place=FIX_IN_MODELS,
    )


def check_weights(request: PreflightInput, facts: PreflightFacts) -> Iterator[PreflightFinding]:
    """Check the model, and the configuration against it."""
    config, bundle = request.config, facts.bundle
    yield from _check_networks(request, bundle)
    yield from _check_sample_text(config, facts)
    if config.schedule.steps:
        yield from _check_frozen_layers(config, bundle)
        yield from _check_gpt(config, bundle)


def _check_gpt(config: FinetuneConfig, bundle: ModelFacts) -> Iterator[PreflightFinding]:
    if bundle.is_small and config.diffusion.steps and not bundle.has_speaker_codec:
        yield PreflightFinding(
            level="warn",
            kind="small_gpt",
            what="Finetuning the GPT of this small model damages its speech.",
            why="Its codebook was trained on synthetic voices and cannot represent real speech; "
            "finetune the diffusion network for the voice.",
            fix="Set schedule.steps to 0.",
            changes={"schedule.steps": 0},
        )
    is_bold = not bundle.is_small and config.weights.method == "full"
    if is_bold and config.optimizer.rate > MAX_SAFE_LEARNING_RATE:
        yield PreflightFinding(
            level="warn",
            kind="fast",
            what=f"The learning rate {config.optimizer.rate:g} is very high for this model.",
            why="The pretrained weights would be destroyed.",
            fix="Use 1e-5.",
            changes={"optimizer.rate": 1e-5},
        )


def _check_networks(request: PreflightInput, bundle: ModelFacts) -> Iterator[PreflightFinding]:
    config = request.config
    needed = {"gpt.safetensors": bundle.gpt.exists, "dvae.safetensors": bundle.dvae.exists}
    needed[MEL_STATS_FILE] = (request.bundle / MEL_STATS_FILE).is_file()
    lacking = [name for name, is_there in needed.items() if not is_there]
    if lacking:
        yield make_unusable_model_finding(
            bundle.name,
            f"It lacks {' and '.join(lacking)}, which finetuning needs.",
        )
    if config.diffusion.steps and not bundle.diffusion.exists:
        yield PreflightFinding(
            level="stop",
            kind="no_diffusion",
            what="The model has no diffusion network.",
            why=f"diffusion.steps is {config.diffusion.steps}.",
            fix="Set diffusion.steps to 0, or choose a complete model.",
            changes={"diffusion.steps": 0},
        )
    missing = [name for name in find_missing_files(request.bundle) if name not in lacking]
    if config.samples.text and missing and not lacking:
        yield PreflightFinding(
            level="warn",
            kind="mute",
            what="No samples can be synthesized during the training.",
            why=f"The model lacks {', '.join(missing)}.",
            fix="Leave the sample text empty, or choose a complete model.",
            changes={"samples.text": ""},
        )


def _check_frozen_layers(config: FinetuneConfig, bundle: ModelFacts) -> Iterator[PreflightFinding]:
    chosen, layers = config.weights, bundle.gpt.layers
    beyond = sorted(number for number in chosen.frozen_layers if number >= layers)
    if beyond:
        last = layers - 1
        yield PreflightFinding(
            level="stop",
            kind="no_layer",
            what=f"weights.frozen names layer {beyond[0]}.",
            why=f"The model has the layers 0 to {last}.",
            fix="Remove it from weights.frozen.",
            changes={"weights.frozen": _clip_frozen_layers(chosen.frozen, last)},
        )
    all_layers = len(chosen.frozen_layers - set(beyond)) == layers
    if all_layers and (chosen.method == "lora" or set(FREEZABLE_PARTS) <= set(chosen.frozen)):
        yield PreflightFinding(
            level="stop",
            kind="all_frozen",
            what="All parameters are frozen.",
            why="weights.frozen names every layer"
            + (", and lora trains layers only." if chosen.method == "lora" else " and part."),
            fix="Remove the entries of weights.frozen.",
            changes={"weights.frozen": ()},
        )


def _clip_frozen_layers(frozen: tuple[str, ...], last: int) -> tuple[str, ...]:
    kept = []
    for part in frozen:
        numbers = [int(word) for word in part.replace("-", " ").split() if word.isdigit()]
        if not numbers:
            kept.append(part)
        elif numbers[0] <= last:
            kept.append(f"layers {numbers[0]}-{min(numbers[-1], last)}")
    return tuple(kept)


def _check_sample_text(config: FinetuneConfig, facts: PreflightFacts) -> Iterator[PreflightFinding]:
    text = config.samples.text
    if not text:
        return
    tokens = facts.measure.count_tokens(text)
    if 0 < tokens <= facts.bundle.max_text_tokens:
        return
    fits = 0 < facts.measure.count_tokens(DEFAULT_SAMPLE_TEXT) <= facts.bundle.max_text_tokens
    yield PreflightFinding(
        level="warn",
        kind="sentence",
        what="The sample text cannot be synthesized, so there will be no samples.",
        why=f"It has {tokens} tokens; this model reads 1 to {facts.bundle.max_text_tokens}.",
        fix="Use another text, or none.",
        changes={
            "samples.text": DEFAULT_SAMPLE_TEXT if fits and text != DEFAULT_SAMPLE_TEXT else ""
        },
    )
