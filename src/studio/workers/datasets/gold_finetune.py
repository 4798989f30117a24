"""Worker task that finetunes a synthesizer on the utterances of a gold-standard project."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean

import numpy as np
import torch

from audio.clip import Clip
from audio.io import read_clip, write_clip
from core.errors import AppError, reraise_as_app_error, translate_write_errors
from core.files import atomic_path, write_json
from core.paths import ProjectPaths, validate_name
from core.progress import ProgressReporter
from core.serialization import to_dict
from engines.device import pick_device
from engines.model_files import CHECKSUMS_FILE, CONFIG_FILE, get_network_path, record_checksum
from engines.safetensors_io import save_tensors
from speakers.embedding import Encoder, embed_clip, mean_embedding
from studio.datasets.gold_finetune import (
    FINETUNE_DIR,
    ComparedClip,
    GoldFinetuneRequest,
    GoldFinetuneResult,
    find_finetunable_model,
    get_comparison_path,
)
from studio.datasets.gold_request import find_gold_project
from studio.schemas.scorecard import SCORECARD_LINES
from studio.sv2tts.service import get_datasets_folder
from studio.workers.context import WorkerContext
from studio.workers.datasets.weight_blending import SpokenQuality, blend_weights, choose_share
from studio.workers.encoders.evaluation import find_encoder
from sv2tts.checkpoints import (
    load_published_synthesizer,
    load_speaker_encoder,
    load_synthesizer,
    read_config,
)
from sv2tts.data.preprocessing import (
    PreprocessOptions,
    adopt_model_format,
    embed_dataset,
    preprocess,
)
from sv2tts.data.sources import find_sources
from sv2tts.engine import Sv2ttsEngine
from sv2tts.generation.options import Sv2ttsOptions
from sv2tts.training.config import (
    SYNTHESIZER_FILE,
    SchedulePhase,
    SynthesizerTrainConfig,
    write_config,
)
from sv2tts.training.trainer import train
from training.asr.wer import compute_pocketsphinx_wer
from training.gold.export import export_utterances
from training.gold.project_files import UTTERANCES_FILE, read_project
from training.gold.row_conversion import read_utterances
from training.gold.tools import open_tools
from training.gold.utterances import Utterance

HELD_OUT = 3  # utterances that are not trained on, to compare with
MIN_UTTERANCES = 8
MAX_STEPS = 1_000_000
CONDITIONING_CLIPS = 5
WER_RATE = 16_000
TRAINED_FILE = "synthesizer.pt"
JUDGED_LINES = 10
NOT_COPIED = frozenset({CHECKSUMS_FILE, CONFIG_FILE, "README.md", "synthesizer.safetensors"})


def finetune_gold_task(
    context: WorkerContext, request: GoldFinetuneRequest, report: ProgressReporter
) -> GoldFinetuneResult:
    """Finetune a synthesizer on the utterances of one speaker."""
    return finetune_on_gold(context.layout, request, report)


def finetune_on_gold(
    layout: ProjectPaths, request: GoldFinetuneRequest, report: ProgressReporter
) -> GoldFinetuneResult:
    """Make a dataset of a speaker, train, and compare the models before and after.

    A run of the same name is resumed. Raises AppError where a model or utterances are missing.
    """
    folder = find_gold_project(layout, request.name)
    base = find_finetunable_model(layout, request.model)
    run_name = validate_name(request.run_name, "run")
    work = folder / FINETUNE_DIR / run_name
    used, speaker = _select_utterances(folder, request)
    held_out = sorted(used, key=lambda one: (-one.score, one.id))[:HELD_OUT]
    trained = [one for one in used if one not in held_out]
    with reraise_as_app_error(ValueError), translate_write_errors(work):
        device = pick_device("auto")
        encoder = load_speaker_encoder(base, read_config(base), device)
        recordings = _export(layout, folder, work, trained, held_out, report)
        options = _choose_options(base)
        dataset = _make_dataset(layout, run_name, recordings, options, encoder, report)
        run = _prepare_run(layout, run_name, base, request, options.max_frames)
        ended = train(run, dataset, report)
        if ended.state == "failed":
            raise AppError(f"The training failed: {ended.message}")
        report.check_cancelled()
        target = layout.model(run_name)
        _copy_model(base, target, request)
        share = _save_best_weights(layout, base, target, run / TRAINED_FILE, work, report)
        clips = _compare(folder, (base, target), work, held_out, report)
        result = GoldFinetuneResult(
            name=request.name,
            run=run_name,
            model=request.model,
            speaker=speaker,
            folder=str(folder),
            utterances=len(trained),
            message=f"{ended.message} {_tell_share(share)}",
            clips=clips,
        )
        path = get_comparison_path(folder, run_name)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, to_dict(result))
    return result


def _select_utterances(folder: Path, request: GoldFinetuneRequest) -> tuple[list[Utterance], str]:
    if not (folder / UTTERANCES_FILE).is_file():
        raise AppError(f"{request.name} has no utterances yet. Run its steps first.")
    used = [one for one in read_utterances(folder) if not one.problems]
    speakers = sorted({one.speaker for one in used})
    if not request.speaker and len(speakers) > 1:
        raise AppError(f"Choose a speaker: {', '.join(speakers)}.")
    speaker = request.speaker or next(iter(speakers), "")
    own = [one for one in used if one.speaker == speaker]
    if len(own) < MIN_UTTERANCES:
        raise AppError(
            f"{speaker or request.name} has {len(own)} kept utterances; finetuning needs at least "
            f"{MIN_UTTERANCES}."
        )
    return own, speaker


def _export(
    layout: ProjectPaths,
    folder: Path,
    work: Path,
    trained: Sequence[Utterance],
    held_out: Sequence[Utterance],
    report: ProgressReporter,
) -> Path:
    """Write the recordings with their texts; those held out lie in a folder of their own."""
    recordings = work / "recordings"
    shutil.rmtree(recordings, ignore_errors=True)
    project = read_project(folder)
    with open_tools(Path(project.recording), layout.whisper, report) as tools:
        for one in held_out:
            path = work / "held_out" / f"{one.id}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_clip(path, tools.cut(one.start, one.stop))
        tracked = list(report.track(trained, "export"))
        export_utterances(
            recordings, "folders", tracked, lambda one: tools.cut(one.start, one.stop)
        )
    return recordings


def _choose_options(base: Path) -> PreprocessOptions:
    """Return how the recordings are prepared for a model."""
    is_published = read_config(base).mel == "published"  # the other kind reads pauses as they are
    return adopt_model_format(PreprocessOptions(trim=is_published, skip_existing=True), base)


def _make_dataset(
    layout: ProjectPaths,
    name: str,
    recordings: Path,
    options: PreprocessOptions,
    encoder: Encoder,
    report: ProgressReporter,
) -> Path:
    dataset = get_datasets_folder(layout) / name
    sources, _ = find_sources(recordings, "folders")
    preprocess(sources, dataset, options, report)
    embed_dataset(dataset, encoder.embed_wave, report, skip_existing=True)
    return dataset


def _prepare_run(
    layout: ProjectPaths, name: str, base: Path, request: GoldFinetuneRequest, max_frames: int
) -> Path:
    """Write the configuration of the training and the weights that it starts from."""
    run = layout.training / "sv2tts" / "runs" / name
    run.mkdir(parents=True, exist_ok=True)
    network = load_synthesizer(base, read_config(base), torch.device("cpu"))
    phase = SchedulePhase(
        r=int(network.r),
        learning_rate=request.learning_rate,
        until_step=MAX_STEPS,
        batch_size=request.batch_size,
    )
    config = SynthesizerTrainConfig(
        start_from=str(base.absolute()),
        max_minutes=request.minutes,
        schedule=(phase,),
        validation_share=0.05,
        max_mel_frames=max_frames,
        save_every=200,
        eval_every=200,
        backup_every=0,
    )
    write_config(run / SYNTHESIZER_FILE, config)
    return run


def _copy_model(base: Path, target: Path, request: GoldFinetuneRequest) -> None:
    """Write a model folder with the files of the base but its synthesizer."""
    target.mkdir(parents=True, exist_ok=True)
    for file in sorted(base.iterdir()):
        if not file.is_file() or file.name in NOT_COPIED:
            continue
        with atomic_path(target / file.name) as part:
            shutil.copyfile(file, part)
        if file.suffix == ".safetensors":
            record_checksum(target / file.name)
    about = f"{request.model}, finetuned on {request.speaker or request.name}"
    write_json(target / CONFIG_FILE, to_dict(replace(read_config(base), about=about)))


def _save_best_weights(
    layout: ProjectPaths,
    base: Path,
    target: Path,
    trained: Path,
    work: Path,
    report: ProgressReporter,
) -> float:
    """Write the synthesizer of the target; returns how much of the training it takes."""
    before = load_synthesizer(base, read_config(base), torch.device("cpu")).state_dict()
    after = load_published_synthesizer(trained).state_dict()
    file = get_network_path(target, "synthesizer")
    encoder = _find_judge(layout, base)
    voice = _read_voice(work)
    speaker = _embed_voice(encoder, voice)

    def measure(share: float) -> SpokenQuality:
        save_tensors(file, blend_weights(before, after, share))
        engine = Sv2ttsEngine.load(target, torch.device("cpu"))
        latents = engine.condition(voice, report)
        found = []
        for text in SCORECARD_LINES[:JUDGED_LINES]:
            made = engine.synthesize(text, latents, Sv2ttsOptions(seed=0), report)
            found.append(_measure(made.candidates[0].clip, text, encoder, speaker))
        wrong = [wer for _, wer in found if wer is not None]
        return SpokenQuality(
            similarity=mean(similarity for similarity, _ in found),
            wer=mean(wrong) if wrong else None,
        )

    with report.stage("compare"):
        share = choose_share(measure(0.0), measure)
    save_tensors(file, blend_weights(before, after, share))
    return share


def _read_voice(work: Path) -> list[Clip]:
    """Return the clips that both models speak after."""
    paths = sorted((work / "recordings").rglob("*.wav"))
    return [read_clip(path) for path in paths[:CONDITIONING_CLIPS]]


def _embed_voice(encoder: Encoder, voice: Sequence[Clip]) -> np.ndarray:
    return mean_embedding(np.stack([embed_clip(encoder, clip) for clip in voice]))


def _find_judge(layout: ProjectPaths, base: Path) -> Encoder:
    """Return Resemblyzer's encoder, or that of the model, which the training has fitted."""
    try:
        return find_encoder(layout, "resemblyzer", "cpu")
    except AppError:  # the package is not installed
        return load_speaker_encoder(base, read_config(base), torch.device("cpu"))


def _tell_share(share: float) -> str:
    if share == 1:
        return "The model has the trained weights."
    if share == 0:
        return (
            "No share of the training made the speech more similar without more wrong words, so "
            "the model speaks as before. Train for a shorter time, or on more utterances."
        )
    return (
        f"The model takes {100 * share:.0f} % of the change of its weights: with more of it, the "
        "speech has more wrong words or is less similar."
    )


def _compare(
    folder: Path,
    models: tuple[Path, Path],
    work: Path,
    held_out: Sequence[Utterance],
    report: ProgressReporter,
) -> tuple[ComparedClip, ...]:
    """Speak the texts held out with both models; clips lie where the page may play them."""
    engines = [Sv2ttsEngine.load(model, torch.device("cpu")) for model in models]
    voice = _read_voice(work)
    encoder = load_speaker_encoder(models[0], read_config(models[0]), torch.device("cpu"))
    target = _embed_voice(encoder, voice)
    latents = [engine.condition(voice, report) for engine in engines]
    audio = folder / "audio"
    audio.mkdir(exist_ok=True)
    compared = []
    for one in report.track(held_out, "compare"):
        names, figures = [], []
        for kind, engine, latent in zip(("before", "after"), engines, latents, strict=True):
            made = engine.synthesize(one.text, latent, Sv2ttsOptions(seed=0), report)
            clip = made.candidates[0].clip
            name = f"{work.name}-{one.id}-{kind}.wav"
            write_clip(audio / name, clip)
            names.append(f"audio/{name}")
            figures.append(_measure(clip, one.text, encoder, target))
        recording = audio / f"{work.name}-{one.id}-recording.wav"
        shutil.copyfile(work / "held_out" / f"{one.id}.wav", recording)
        compared.append(
            ComparedClip(
                text=one.text,
                recording=f"audio/{recording.name}",
                before=names[0],
                after=names[1],
                similarity_before=figures[0][0],
                similarity_after=figures[1][0],
                wer_before=figures[0][1],
                wer_after=figures[1][1],
            )
        )
    return tuple(compared)


def _measure(
    clip: Clip, text: str, encoder: Encoder, target: np.ndarray
) -> tuple[float, float | None]:
    """Return the similarity to the speaker, 0 for a clip without speech, and the WER."""
    try:
        similarity = float(embed_clip(encoder, clip) @ target)
    except ValueError:  # nothing that sounds like speech
        similarity = 0.0
    return similarity, compute_pocketsphinx_wer(clip.resample(WER_RATE).wave, text)
