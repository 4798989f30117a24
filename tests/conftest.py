"""What every test shares: where the reference vectors are, and how to read one case."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.load_profile("repeatable")  # no time limit: a busy machine is no failure
GOLDEN = Path(os.environ.get("GOLDEN_DIR", SHARED / "reference" / "tortoise" / "golden"))


THOROUGH = frozenset(  # modules that take seconds each; ./test.sh --quick leaves them out
    {
        "api/test_auth.py",
        "api/test_gold_files.py",
        "api/test_openai.py",
        "api/test_request_bodies.py",
        "api/test_server.py",
        "api/test_training_runs.py",
        "audio/test_io.py",
        "audio/test_quality.py",
        "cli/test_encoder.py",
        "cli/test_restore_jobs.py",
        "cli/test_sv2tts.py",
        "cli/test_train.py",
        "core/test_proxy_settings.py",
        "engines/test_conformance.py",
        "jobs/test_detached.py",
        "jobs/test_queue.py",
        "quick/test_quick_engine.py",
        "recipes/test_build_starter.py",
        "recipes/test_sample_voices.py",
        "recipes/test_starter_benchmark.py",
        "recipes/test_sv2tts_recipe.py",
        "recipes/test_synthetic_speakers.py",
        "recipes/test_teacher.py",
        "recipes/test_train_codec_decoder.py",
        "recipes/test_train_speaker_codec.py",
        "recipes/test_train_vector_encoder.py",
        "recipes/test_train_vocoder.py",
        "reliability/test_determinism.py",
        "reliability/test_environment.py",
        "reliability/test_hostile_files.py",
        "reliability/test_kills.py",
        "reliability/test_long_runs.py",
        "reliability/test_properties.py",
        "reliability/test_requests.py",
        "runs/test_state.py",
        "speakers/test_embedding.py",
        "speakers/test_evaluation.py",
        "speakers/test_golden_published.py",
        "speakers/test_preprocess.py",
        "speakers/test_tracking.py",
        "speakers/test_trainer.py",
        "studio/test_audio_metadata.py",
        "studio/test_batch.py",
        "studio/test_blind_comparison.py",
        "studio/test_bundles.py",
        "studio/test_clip_tools.py",
        "studio/test_cluster.py",
        "studio/test_convert_clip.py",
        "studio/test_datasets.py",
        "studio/test_diagnostics.py",
        "studio/test_download.py",
        "studio/test_end_to_end.py",
        "studio/test_gold_finetune.py",
        "studio/test_preview.py",
        "studio/test_recordings.py",
        "studio/test_resume.py",
        "studio/test_speaker_lab.py",
        "studio/test_studio_jobs.py",
        "studio/test_synthesis_session.py",
        "studio/test_training_config.py",
        "studio/test_training_runs.py",
        "studio/test_voicefixer_package.py",
        "sv2tts/test_engine.py",
        "sv2tts/test_golden.py",
        "sv2tts/test_tacotron_2_training.py",
        "sv2tts/test_training.py",
        "test_benchmarks.py",
        "test_light.py",
        "test_mutations.py",
        "test_shipped.py",
        "tortoise/test_api.py",
        "tortoise/test_codec_model.py",
        "tortoise/test_cvvp.py",
        "tortoise/test_engine.py",
        "tortoise/test_merge.py",
        "tortoise/test_model_offload.py",
        "tortoise/test_published.py",
        "tortoise/test_vocoding.py",
        "training/asr/test_bundled_whisper.py",
        "training/asr/test_hugging_face.py",
        "training/asr/test_openai_whisper.py",
        "training/asr/test_pocketsphinx.py",
        "training/dataset_prep/test_prepare.py",
        "training/dataset_prep/test_transcription.py",
        "training/dataset_report/test_page.py",
        "training/finetuning/test_batch_probe.py",
        "training/finetuning/test_codec_task.py",
        "training/finetuning/test_distributed.py",
        "training/finetuning/test_preflight_property.py",
        "training/finetuning/test_train_step.py",
        "training/finetuning/test_trainer.py",
        "training/gold/test_overlaps.py",
        "training/gold/test_workflow.py",
        "webui/test_batch.py",
        "webui/test_clip_drop.py",
        "webui/test_conversion.py",
        "webui/test_encoder_tab.py",
        "webui/test_gold_tab.py",
        "webui/test_live_panel.py",
        "webui/test_option_controls.py",
        "webui/test_prepare_tab.py",
        "webui/test_stop.py",
        "webui/test_toolbox.py",
        "webui/test_train_tab.py",
    }
)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not even import the slow modules where their tests are left out."""
    is_left_out = "not thorough" in config.option.markexpr and is_thorough(collection_path)
    return True if is_left_out else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of the slow modules."""
    for item in items:
        if is_thorough(item.path):
            item.add_marker(pytest.mark.thorough)


def is_thorough(path: Path) -> bool:
    tests = Path(__file__).resolve().parent
    return path.is_relative_to(tests) and path.relative_to(tests).as_posix() in THOROUGH


@pytest.fixture(autouse=True, scope="module")  # a test may have restored the default number
def one_thread() -> None:
    """Small networks run fastest, and repeatably, on one thread."""
    torch.set_num_threads(1)
