"""Whether the weights that a run begins from can learn what is asked of them. Light."""

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
    """Say that a model cannot be begun from at all."""
    return PreflightFinding(
        level="stop",
        kind="no_weights",
        what=f"The model {name!r} cannot be used.",
        why=why,
        fix="Choose another model, or fetch this one again.",
        place=FIX_IN_MODELS,
    )


def check_weights(situation: PreflightInput, seen: PreflightFacts) -> Iterator[PreflightFinding]:
    """Say what is wrong with the model, and with what is asked of it."""
    config, bundle = situation.config, seen.bundle
    yield from _check_networks(situation, bundle)
    yield from _check_sample_text(config, seen)
    if config.schedule.steps:
        yield from _check_frozen_layers(config, bundle)
        yield from _check_gpt(config, bundle)


def _check_gpt(config: FinetuneConfig, bundle: ModelFacts) -> Iterator[PreflightFinding]:
    if bundle.is_small and config.diffusion.steps:
        yield PreflightFinding(
            level="warn",
            kind="small_gpt",
            what="The speaking network of this small model forgets words when it learns.",
            why="Its codes were made for synthetic voices and hardly carry real speech; what "
            "brings the voice is the diffusion network.",
            fix="Set schedule.steps to 0.",
            changes={"schedule.steps": 0},
        )
    is_bold = not bundle.is_small and config.weights.method == "full"
    if is_bold and config.optimizer.rate > MAX_SAFE_LEARNING_RATE:
        yield PreflightFinding(
            level="warn",
            kind="fast",
            what=f"The learning rate {config.optimizer.rate:g} is very high for this model.",
            why="It forgets how to speak before it has learned the voice.",
            fix="Use 1e-5.",
            changes={"optimizer.rate": 1e-5},
        )


def _check_networks(situation: PreflightInput, bundle: ModelFacts) -> Iterator[PreflightFinding]:
    config = situation.config
    needed = {"gpt.safetensors": bundle.gpt.exists, "dvae.safetensors": bundle.dvae.exists}
    needed[MEL_STATS_FILE] = (situation.bundle / MEL_STATS_FILE).is_file()
    lacking = [name for name, is_there in needed.items() if not is_there]
    if lacking:
        yield make_unusable_model_finding(
            bundle.name,
            f"It lacks {' and '.join(lacking)}: dvae turns speech into the codes that are learned, "
            "gpt learns them, mel_stats says how loud they are.",
        )
    if config.diffusion.steps and not bundle.diffusion.exists:
        yield PreflightFinding(
            level="stop",
            kind="no_diffusion",
            what="The model has no diffusion network that could learn.",
            why=f"diffusion.steps is {config.diffusion.steps}.",
            fix="Set diffusion.steps to 0, or choose a whole model.",
            changes={"diffusion.steps": 0},
        )
    mute = [name for name in find_missing_files(situation.bundle) if name not in lacking]
    if config.samples.text and mute and not lacking:
        yield PreflightFinding(
            level="warn",
            kind="mute",
            what="Nothing can be spoken while it learns.",
            why=f"The model lacks {', '.join(mute)}.",
            fix="Leave the sentence out, or choose a whole model.",
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
            fix="Take it off weights.frozen.",
            changes={"weights.frozen": _clip_frozen_layers(chosen.frozen, last)},
        )
    all_layers = len(chosen.frozen_layers - set(beyond)) == layers
    if all_layers and (chosen.method == "lora" or set(FREEZABLE_PARTS) <= set(chosen.frozen)):
        yield PreflightFinding(
            level="stop",
            kind="all_frozen",
            what="Nothing is left to learn.",
            why="weights.frozen names every layer"
            + (", and lora learns in layers only." if chosen.method == "lora" else " and part."),
            fix="Let all of it learn.",
            changes={"weights.frozen": ()},
        )


def _clip_frozen_layers(frozen: tuple[str, ...], last: int) -> tuple[str, ...]:
    """Return the parts without the layers behind the last."""
    kept = []
    for part in frozen:
        numbers = [int(word) for word in part.replace("-", " ").split() if word.isdigit()]
        if not numbers:
            kept.append(part)
        elif numbers[0] <= last:
            kept.append(f"layers {numbers[0]}-{min(numbers[-1], last)}")
    return tuple(kept)


def _check_sample_text(config: FinetuneConfig, seen: PreflightFacts) -> Iterator[PreflightFinding]:
    text = config.samples.text
    if not text:
        return
    tokens = seen.measure.count_tokens(text)
    if 0 < tokens <= seen.bundle.max_text_tokens:
        return
    fits = 0 < seen.measure.count_tokens(DEFAULT_SAMPLE_TEXT) <= seen.bundle.max_text_tokens
    yield PreflightFinding(
        level="warn",
        kind="sentence",
        what="The sentence of the samples cannot be spoken, so nothing can be heard meanwhile.",
        why=f"It has {tokens} tokens; this model reads 1 to {seen.bundle.max_text_tokens} at once.",
        fix="Use another sentence, or none.",
        changes={
            "samples.text": DEFAULT_SAMPLE_TEXT if fits and text != DEFAULT_SAMPLE_TEXT else ""
        },
    )
