"""Worker task of the toolbox: embed an utterance, speak in its voice, draw what was computed."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
from torch import Tensor

from audio.clip import Clip, ClipError
from audio.io import read_clip, write_clip
from core.errors import reraise_as_app_error, translate_write_errors
from core.progress import ProgressReporter
from engines.device import pick_device
from engines.protocols import SpeechCandidate
from speakers.evaluation.plots import plot_projection
from speakers.evaluation.projection import MIN_POINTS, project
from studio.sv2tts.requests import DemoRequest, ToolboxRequest, ToolboxResult
from studio.voices.uploads import resolve_file_ref
from studio.workers.clip_tools import make_output_path
from studio.workers.context import WorkerContext
from studio.workers.sv2tts.demo import open_demo
from sv2tts.engine import EMBEDDING, Sv2ttsEngine
from sv2tts.generation.options import Sv2ttsOptions
from sv2tts.mel import MEL_FORMATS
from sv2tts.training.pictures import draw_alignment, draw_embedding, draw_mels

TOOLBOX_DIR = "toolbox"  # below the results
EMBEDDINGS_DIR = "embeddings"  # below it, a folder for each model
MAX_MAPPED = 200


def use_toolbox_task(
    context: WorkerContext, request: ToolboxRequest, report: ProgressReporter
) -> ToolboxResult:
    """Embed a recording; with a text, speak it. Files are written to results/toolbox."""
    source = resolve_file_ref(context.layout, request.clip)
    target = make_output_path(context.layout, TOOLBOX_DIR, source.stem)
    cpu = pick_device(context.settings.device).type == "cpu"
    opening = DemoRequest(model=request.model, cpu=cpu)
    text = request.text.strip()
    with open_demo(context.layout, opening) as demo, translate_write_errors(target):
        engine = demo.engine
        with reraise_as_app_error(ClipError):
            clip = read_clip(source)
            speaker = engine.condition([clip], report)
        pictures = draw_voice(target, engine, speaker.tensors[EMBEDDING])
        made = None
        if text:
            given = {"seed": request.seed, "vocoder": request.vocoder}
            options = Sv2ttsOptions(**{**Sv2ttsOptions.advised(engine.folder), **given})
            (made, *_) = engine.synthesize(text, speaker, options, report).candidates
            write_clip(target, made.clip)
            pictures |= draw_speech(target, engine, clip, made, text)
    return ToolboxResult(
        model=engine.folder.name,
        utterance=source.name,
        clip=str(target) if made else "",
        seconds=made.clip.duration_s if made else 0.0,
        seed=request.seed,
        pictures=pictures,
        problems=made.aux.report.problems if made else (),
    )


def draw_voice(target: Path, engine: Sv2ttsEngine, embedding: Tensor) -> dict[str, str]:
    """Draw an embedding, and it among those of earlier utterances; returns caption -> file."""
    folder = target.parent / EMBEDDINGS_DIR / engine.weights_id
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / f"{target.stem}.npy", embedding.numpy())
    picture = target.with_suffix(".embedding.png")
    draw_embedding(picture, embedding, target.stem)
    pictures = {"Embedding": str(picture)}
    known = sorted(folder.glob("*.npy"), key=lambda path: path.stat().st_mtime)[-MAX_MAPPED:]
    if len(known) >= MIN_POINTS:
        method = "umap" if find_spec("umap") else "pca"
        points = project(np.stack([np.load(path) for path in known]), method)
        map_path = target.with_suffix(".map.png")
        names = [path.stem for path in known]
        title = f"{method.upper()} of the utterances"
        plot_projection(points, names, [""] * len(names), title, map_path)
        pictures["Utterances"] = str(map_path)
    return pictures


def draw_speech(
    target: Path, engine: Sv2ttsEngine, clip: Clip, made: SpeechCandidate, text: str
) -> dict[str, str]:
    """Draw the mels of the recording and of the speech, and the attention."""
    compute = MEL_FORMATS[engine.config.mel].compute
    mels, attention = target.with_suffix(".mels.png"), target.with_suffix(".attention.png")
    before = compute(clip.resample(engine.sample_rate).wave)
    draw_mels(mels, before, compute(made.clip.wave), text[:80])
    draw_alignment(attention, made.aux.attention, text[:80])
    return {"Mel of the utterance and of the speech": str(mels), "Attention": str(attention)}
