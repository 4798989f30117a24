"""Whether the weights that a run begins from can learn what is asked of them. Light."""

from __future__ import annotations

from collections.abc import Iterator

from tortoise.bundle import MEL_STATS_FILE, missing_to_speak
from training.config import SENTENCE, FinetuneConfig
from training.config_parts import PARTS
from training.preflight_found import MODELS, Finding, Sight, Situation
from training.suggest_facts import BundleFacts

BOLD = 1e-4  # learning rate of a whole published network


def no_bundle(name: str, why: str) -> Finding:
    """Say that a model cannot be begun from at all."""
    return Finding(
        level="stop",
        kind="no_weights",
        what=f"The model {name!r} cannot be used.",
        why=why,
        fix="Choose another model, or fetch this one again.",
        place=MODELS,
    )


def weights_findings(situation: Situation, seen: Sight) -> Iterator[Finding]:
    """Say what is wrong with the model, and with what is asked of it."""
    config, bundle = situation.config, seen.bundle
    yield from _networks(situation, bundle)
    yield from _sentence(config, seen)
    if config.schedule.steps:
        yield from _frozen(config, bundle)
        yield from _gpt(config, bundle)


def _gpt(config: FinetuneConfig, bundle: BundleFacts) -> Iterator[Finding]:
    if bundle.is_small and config.diffusion.steps:
        yield Finding(
            level="warn",
            kind="small_gpt",
            what="The speaking network of this small model forgets words when it learns.",
            why="Its codes were made for synthetic voices and hardly carry real speech; what "
            "brings the voice is the diffusion network.",
            fix="Set schedule.steps to 0.",
            changes={"schedule.steps": 0},
        )
    is_bold = not bundle.is_small and config.weights.method == "full"
    if is_bold and config.optimizer.rate > BOLD:
        yield Finding(
            level="warn",
            kind="fast",
            what=f"The learning rate {config.optimizer.rate:g} is very high for this model.",
            why="It forgets how to speak before it has learned the voice.",
            fix="Use 1e-5.",
            changes={"optimizer.rate": 1e-5},
        )


def _networks(situation: Situation, bundle: BundleFacts) -> Iterator[Finding]:
    config = situation.config
    needed = {"gpt.safetensors": bundle.gpt.is_there, "dvae.safetensors": bundle.dvae.is_there}
    needed[MEL_STATS_FILE] = (situation.bundle / MEL_STATS_FILE).is_file()
    lacking = [name for name, is_there in needed.items() if not is_there]
    if lacking:
        yield no_bundle(
            bundle.name,
            f"It lacks {' and '.join(lacking)}: dvae turns speech into the codes that are learned, "
            "gpt learns them, mel_stats says how loud they are.",
        )
    if config.diffusion.steps and not bundle.diffusion.is_there:
        yield Finding(
            level="stop",
            kind="no_diffusion",
            what="The model has no diffusion network that could learn.",
            why=f"diffusion.steps is {config.diffusion.steps}.",
            fix="Set diffusion.steps to 0, or choose a whole model.",
            changes={"diffusion.steps": 0},
        )
    mute = [name for name in missing_to_speak(situation.bundle) if name not in lacking]
    if config.samples.text and mute and not lacking:
        yield Finding(
            level="warn",
            kind="mute",
            what="Nothing can be spoken while it learns.",
            why=f"The model lacks {', '.join(mute)}.",
            fix="Leave the sentence out, or choose a whole model.",
            changes={"samples.text": ""},
        )


def _frozen(config: FinetuneConfig, bundle: BundleFacts) -> Iterator[Finding]:
    chosen, layers = config.weights, bundle.gpt.layers
    beyond = sorted(number for number in chosen.frozen_layers if number >= layers)
    if beyond:
        last = layers - 1
        yield Finding(
            level="stop",
            kind="no_layer",
            what=f"weights.frozen names layer {beyond[0]}.",
            why=f"The model has the layers 0 to {last}.",
            fix="Take it off weights.frozen.",
            changes={"weights.frozen": _within(chosen.frozen, last)},
        )
    all_layers = len(chosen.frozen_layers - set(beyond)) == layers
    if all_layers and (chosen.method == "lora" or set(PARTS) <= set(chosen.frozen)):
        yield Finding(
            level="stop",
            kind="all_frozen",
            what="Nothing is left to learn.",
            why="weights.frozen names every layer"
            + (", and lora learns in layers only." if chosen.method == "lora" else " and part."),
            fix="Let all of it learn.",
            changes={"weights.frozen": ()},
        )


def _within(frozen: tuple[str, ...], last: int) -> tuple[str, ...]:
    """Return the parts without the layers behind the last."""
    kept = []
    for part in frozen:
        numbers = [int(word) for word in part.replace("-", " ").split() if word.isdigit()]
        if not numbers:
            kept.append(part)
        elif numbers[0] <= last:
            kept.append(f"layers {numbers[0]}-{min(numbers[-1], last)}")
    return tuple(kept)


def _sentence(config: FinetuneConfig, seen: Sight) -> Iterator[Finding]:
    text = config.samples.text
    if not text:
        return
    tokens = seen.measure.count_tokens(text)
    if 0 < tokens <= seen.bundle.most_tokens:
        return
    fits = 0 < seen.measure.count_tokens(SENTENCE) <= seen.bundle.most_tokens
    yield Finding(
        level="warn",
        kind="sentence",
        what="The sentence of the samples cannot be spoken, so nothing can be heard meanwhile.",
        why=f"It has {tokens} tokens; this model reads 1 to {seen.bundle.most_tokens} at once.",
        fix="Use another sentence, or none.",
        changes={"samples.text": SENTENCE if fits and text != SENTENCE else ""},
    )
