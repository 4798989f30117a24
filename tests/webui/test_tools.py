"""The tab Utilities: what a file from anyone says is shown as text, and jobs as they go."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from core.errors import AppError
from core.paths import ProjectPaths
from jobs.models import Job, JobFailure, JobProgress
from studio.app.studio import Studio
from studio.schemas.take_metadata import TakeMetadata
from studio.synthesis.audio_metadata import write_sidecar
from studio.synthesis.token_preview import Token, TokenPreview
from webui.tools.clip_editor import (
    UploadedClip,
    build_denoise_request,
    clip_metadata_html,
    open_uploaded_clip,
)
from webui.tools.results import PREVIEW_TASK, TASKS, tool_job_html
from webui.tools.tokens import tokens_html

SCRIPT = "<script>alert(1)</script>"
RESULTS: dict[str, dict[str, Any]] = {
    "check_voice": {
        "name": "alice",
        "light": "poor",
        "findings": [
            {"topic": SCRIPT, "light": "fair", "words": SCRIPT, "measured": "", "advice": SCRIPT}
        ],
        "clips": [{"name": SCRIPT, "light": "poor", "duration_s": 1.0, "findings": []}],
    },
    "clean_clip": {
        "clip": f"results/cleaned/{SCRIPT}.wav",
        "path": "",
        "noise_db": [10.0, 30.0],
        "lufs": [-30.0, -20.0],
        "seconds": 1.0,
    },
    "convert_clip": {
        "clip": f"results/converted/{SCRIPT}.wav",
        "path": "",
        "voice": SCRIPT,
        "bundle": SCRIPT,
        "duration_s": 2.0,
        "seconds": 0.1,
        "words": SCRIPT,
        "transcriber": SCRIPT,
    },
    "judge_clip": {"name": SCRIPT, "bundle": SCRIPT, "likely": 0.95, "pieces": [0.95]},
    "merge_models": {"name": SCRIPT, "weights_id": SCRIPT, "mixed": ["gpt"], "size": 1_000_000},
    "bring_voice": {"voice": SCRIPT, "clips": 1},
    "compare_speakers": {
        "encoder": SCRIPT,
        "names": [SCRIPT, "vera"],
        "matrix": [[1.0, 0.25], [0.25, 1.0]],
        "nearest": [{"name": SCRIPT, "other": "vera", "cosine": 0.25, "sure": 0.02}],
        "left_out": {SCRIPT: SCRIPT},
    },
    "find_speakers": {
        "encoder": SCRIPT,
        "name": SCRIPT,
        "clip": f"uploads/0/{SCRIPT}.wav",
        "duration_s": 8.0,
        "peaks": [0.5, 1.0],
        "turns": [
            {"start_s": 0.0, "stop_s": 5.0, "speaker": 1},
            {"start_s": 5.0, "stop_s": 8.0, "speaker": 2},
        ],
        "speakers": [
            {"speaker": 1, "seconds": 5.0, "share": 0.625, "cosine": 1.0, "sure": 1.0},
            {"speaker": 2, "seconds": 3.0, "share": 0.375, "cosine": 0.3, "sure": None},
        ],
    },
    "map_speakers": {
        "encoder": SCRIPT,
        "method": "tsne",
        "data": "",
        "points": [{"x": 0.0, "y": 1.0, "speaker": SCRIPT, "file": f"/a/{SCRIPT}.wav"}],
        "total": 1,
        "left_out": {},
    },
    "use_toolbox": {
        "model": SCRIPT,
        "utterance": SCRIPT,
        "clip": f"/a/{SCRIPT}.wav",
        "seconds": 1.0,
        "seed": 3,
        "pictures": {SCRIPT: f"/a/{SCRIPT}.png"},
        "problems": [SCRIPT],
    },
}
RESULTS["keep_blend"] = RESULTS["bring_voice"]
RESULTS["speak"] = {"path": f"/a/{SCRIPT}.wav", "voice": SCRIPT, "text": SCRIPT}
RESULTS["design_voice"] = {
    "bundle": SCRIPT,
    "measured": 64,
    "voices": [
        {
            "voice": {"seed": 7, "pitch": 120.0, "brightness": 900.0, "pace": 14.2},
            "path": f"/a/{SCRIPT}.wav",
        }
    ],
}
RESULTS["check_clip"] = RESULTS["check_voice"]
RESULTS["apply_effects"] = {
    "source": f"/a/{SCRIPT}.wav",
    "path": f"/a/{SCRIPT}-telephone.wav",
    "clip": f"results/{SCRIPT}-telephone.wav",
    "preview": False,
}
RESULTS["preview_voice_effects"] = {**RESULTS["apply_effects"], "clip": "", "preview": True}
RESULTS["batch"] = {
    "folder": SCRIPT,
    "archive": f"{SCRIPT}.zip",
    "spoken": 1,
    "kept": 0,
    "clips": [{"path": f"{SCRIPT}.wav", "text": SCRIPT, "voice": SCRIPT}],
    "failed": [[2, SCRIPT]],
}


def job(task: str, **changes: Any) -> Job:
    facts = {"id": "1", "task": task, "request": {}, "title": SCRIPT, "state": "done", "created": 0}
    return Job(**{**facts, "result": RESULTS[task], **changes})


@pytest.mark.parametrize("task", [*TASKS, PREVIEW_TASK])
def test_what_was_found_is_reported_and_stays_text(task: str, tmp_path: Path) -> None:
    html = tool_job_html(job(task), ProjectPaths.from_root(tmp_path))
    assert "Done" in html and "<script" not in html and "&lt;script&gt;" in html


def test_a_light_is_a_word_and_a_sign_too(tmp_path: Path) -> None:
    html = tool_job_html(job("check_clip"), ProjectPaths.from_root(tmp_path))
    assert "✕</span> Poor" in html and "!</span> Fair" in html


def test_a_job_that_goes_on_or_failed_says_so(tmp_path: Path) -> None:
    layout = ProjectPaths.from_root(tmp_path)
    going = job(
        "check_voice", state="running", progress=JobProgress(stage="check", done=1, total=4)
    )
    assert "1 of 4" in tool_job_html(going, layout)
    assert "Waiting for other jobs" in tool_job_html(job("check_voice", state="waiting"), layout)
    failure = JobFailure(cause="refused", message=f"No: {SCRIPT}", details="Traceback")
    told = tool_job_html(job("check_voice", state="failed", failure=failure), layout)
    assert "No: &lt;script" in told and "Traceback" not in told


def test_a_dropped_clip_is_kept_and_what_it_says_stays_text(tmp_path: Path) -> None:
    studio = Studio(ProjectPaths.from_root(tmp_path), Studio.open(tmp_path).settings)
    clip = tmp_path / "evil <b>.m4a"
    clip.write_bytes(b"no sound")
    record = TakeMetadata(
        text=SCRIPT, voice=SCRIPT, engine="tortoise", bundle=SCRIPT, weights_id=SCRIPT, seed=1,
        options={SCRIPT: SCRIPT}, delivery={}, latents="§",
    )  # fmt: skip
    held = open_uploaded_clip(studio, clip)
    assert held.record is None and "contains no settings" in held.problem
    assert str(tmp_path) not in held.problem
    write_sidecar(clip, record)
    held = open_uploaded_clip(studio, clip)
    assert held.record is not None and held.latents is None and "cannot be used" in held.problem
    html = clip_metadata_html(held)
    assert "<script" not in html and "<b>" not in html and "evil &lt;b&gt;" in html


def test_a_number_that_was_emptied_is_refused_by_its_name() -> None:
    held = UploadedClip(reference="x", name="x.wav", path="x.wav")
    wish, _ = build_denoise_request(held, "built-in", 12.0, 80, True)
    assert (wish.lower_db, wish.cut_hz, wish.even_level) == (12, 80, True)
    with pytest.raises(AppError, match="Noise Reduction is empty"):
        build_denoise_request(held, "built-in", None, 80, True)


def test_tokens_show_what_is_unknown_and_what_is_too_long() -> None:
    tokens = (Token(piece="a", id=5, known=True), Token(piece="<b>", id=1, known=False))
    view = TokenPreview(
        text="a~", spoken="a <i>", tokens=tokens, limit=1, vocabulary=9, strange=("~",)
    )
    html = tokens_html(view)
    assert (
        "2 of 1 tokens" in html
        and "too long for one chunk by 1" in html
        and "not trained on ~" in html
    )
    assert "? &lt;b&gt;" in html and "<b>" not in html and "<i>" not in html
