"""Finetuning of a model whose codes a speaker codec decodes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from audio.io import read_clip
from core.progress import ProgressReporter
from engines.safetensors_io import read_tensors
from engines.speaker_latents import SpeakerLatents
from support.finetune_helpers import Case, fingerprint, make_case
from support.tiny_codec import make_encoder, make_phoneme_bundle
from tortoise.checkpoints.loading import load_model
from tortoise.engine import TortoiseEngine
from tortoise.generation.options import TortoiseOptions
from training.finetuning import dataset as dataset_module
from training.finetuning.batch_probe import probe_training_step
from training.finetuning.checkpoints.run_layout import VOICE_LATENTS_FILE, get_sample_path
from training.finetuning.codec_task import KEPT, create_codec_task
from training.finetuning.config.facts import read_model_facts
from training.finetuning.config.schema import CONFIG_FILE, read_config
from training.finetuning.dataset import CLIPS_FILE, load_features


@pytest.fixture(autouse=True)
def random_encoder() -> Iterator[None]:
    encoder = make_encoder()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dataset_module, "load_codec_encoder", lambda folder, name: encoder)
        yield


def make_codec_case(folder: Path) -> Case:
    make_phoneme_bundle(folder / "models" / "tiny")
    return make_case(folder)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """A whole run of both stages, whose samples are synthesized."""
    case = make_codec_case(tmp_path_factory.mktemp("finished"))
    encoder = make_encoder()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dataset_module, "load_codec_encoder", lambda folder, name: encoder)
        assert case.train(synthesize_sample=None).state == "done"
    return case


def test_each_clip_has_a_speaker_vector_and_the_times_of_its_tokens(finished: Case) -> None:
    clips = load_features(finished.run / CLIPS_FILE)
    assert len(clips.train) == 4 and len(clips.validation) == 2
    for clip in clips.train:
        assert clip.durations is not None and clip.speaker is not None
        assert len(clip.durations) == len(clip.text) + 1
        assert float(clip.durations.sum()) == pytest.approx(len(clip.codes))
        torch.testing.assert_close(clip.speaker.norm(), torch.tensor(1.0))


def test_both_stages_are_trained_and_heard(finished: Case) -> None:
    steps = finished.events("step")
    assert [event["stage"] for event in steps] == ["gpt"] * 4 + ["diffusion"] * 3
    weights = read_config(finished.run / CONFIG_FILE).optimizer
    for event in steps[:4]:  # the rest is the error of the durations
        known = weights.mel_weight * event["mel"] + weights.text_weight * event["text"]
        assert event["loss"] > known + 0.05
    assert all(read_clip(get_sample_path(finished.run, step)).duration_s > 0.1 for step in (2, 7))


def test_the_exported_model_differs_only_where_the_voice_acts(finished: Case) -> None:
    assert finished.places.publish is not None
    base, made = (
        read_tensors(folder / "dvae.safetensors")
        for folder in (finished.places.bundle, finished.places.publish)
    )
    changed = {name for name in base if not torch.equal(base[name], made[name])}
    assert changed and all(
        name.startswith("decoder.") and ("speaker_in" in name or "film" in name
                                         or "conv_out" in name)
        for name in changed
    )  # fmt: skip
    engine = TortoiseEngine.load(finished.places.publish, torch.device("cpu"))
    voice = SpeakerLatents.load(finished.places.publish / VOICE_LATENTS_FILE)
    assert set(voice.tensors) == {"gpt", "speaker", "cvvp"}
    options = TortoiseOptions(samples=1, seed=1, vocoder="istft")
    made_clip = engine.synthesize("a cat.", voice, options, ProgressReporter()).candidates[0].clip
    assert made_clip.duration_s > 0.1


def test_half_of_the_weights_before_the_training_is_kept(finished: Case) -> None:
    bundle = load_model(finished.places.bundle)
    clips, config = (
        load_features(finished.run / CLIPS_FILE),
        read_config(finished.run / CONFIG_FILE),
    )
    task = create_codec_task(bundle, clips, config, torch.device("cpu"))
    untrained = task.validate(clips.validation)
    with torch.no_grad():
        for parameter in task.ema_model.module.parameters():
            parameter.add_(0.5)
    base = read_tensors(finished.places.bundle / "dvae.safetensors")
    (made,) = task.checkpoint_files().values()
    for name, _ in task.model.named_parameters():
        torch.testing.assert_close(made[name], base[name].float() + 0.5 * (1 - KEPT))
    assert task.validate(clips.validation) != untrained


def test_an_interrupted_run_ends_like_one_that_was_not(finished: Case, tmp_path: Path) -> None:
    case = make_codec_case(tmp_path)
    stop = case.run / "stop"

    def interrupt(event: object) -> None:
        if getattr(event, "done", 0) == 5 and not stop.exists():
            stop.touch()

    assert case.train(ProgressReporter(interrupt)).state == "stopped"
    stop.unlink()
    assert case.train().state == "done"
    assert fingerprint(case.run) == fingerprint(finished.run)


def test_the_probe_and_the_facts_know_the_second_stage(finished: Case) -> None:
    bundle = finished.places.bundle
    facts = read_model_facts(bundle, "tiny")
    assert facts.has_speaker_codec and facts.diffusion.parameters == facts.dvae.parameters > 0
    config = read_config(finished.run / CONFIG_FILE)
    found = probe_training_step(config, finished.places.dataset, bundle, 2, "diffusion")
    assert found.seconds > 0 and found.loss > 0 and found.chance is None


def test_a_clip_shorter_than_its_text_is_left_out(tmp_path: Path) -> None:
    case = make_codec_case(tmp_path)
    lines = case.places.dataset / "train.txt"
    lines.write_text("".join(f"audio/c{n}.wav|{'many words ' * 5}\n" for n in range(4)))
    outcome = case.train()
    assert outcome.state == "failed" and "longer than its speech" in outcome.message
