"""The tasks of the worker, as import strings of a light request class and of a function.

`run(context, request, report) -> result` is called in the worker process; `context` is the one
`studio.workers.context.WorkerContext` of that process, and the result is a plain dataclass.
Add a row for a new task; `Studio.submit` finds it by the class of the request.

A resumable task is called again with the same request after a crash or a stop, and
`report.previous_takes` holds the data of the "take" events of the earlier runs, in order. It checks
that what they name is still there, skips it, and does not emit it again. Other tasks fail when they
are cut off. `SpeechRequest.out` is always set in a submitted request, so that resumed work writes
to the same file.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from jobs.task import Task

_ROWS = (  # name, request class in studio, function in studio.workers
    ("speak", "schemas.speech:SpeechRequest", "context:synthesize_speech_task"),
    ("redo", "synthesis.retake:RegenerateLineRequest", "retake:regenerate_line_task"),
    ("rejoin", "synthesis.retake:RejoinClipRequest", "retake:rejoin_clip_task"),
    ("edit_lines", "synthesis.line_edits:EditLinesRequest", "retake:edit_lines_task"),
    ("bring_voice", "voices.uploads:ImportVoiceRequest", "create_voice:import_voice_task"),
    ("keep_random", "schemas.voices:SaveRandomVoiceRequest", "save_voice:save_random_voice_task"),
    ("design_voice", "voices.design:DesignVoiceRequest", "design_voice:design_voice_task"),
    ("keep_blend", "schemas.voices:SaveBlendRequest", "save_voice:save_blend_task"),
    ("keep_recording", "schemas.voices:SaveRecordingRequest", "save_voice:save_recording_task"),
    ("download_model", "model_store.lifecycle:DownloadModelRequest",
     "model_tasks:download_model_task"),
    ("install_speech_model", "model_store.lifecycle:InstallSpeechModelRequest",
     "datasets.install_speech_model:install_speech_model_task"),
    ("verify_model", "model_store.lifecycle:VerifyModelRequest", "model_tasks:verify_model_task"),
    ("clean_clip", "schemas.clip_tools:DenoiseClipRequest", "clip_tools:denoise_clip_task"),
    ("check_clip", "schemas.clip_tools:CheckClipRequest", "clip_tools:check_clip_task"),
    ("check_voice", "schemas.clip_tools:CheckVoiceRequest", "clip_tools:check_voice_task"),
    ("judge_clip", "schemas.clip_tools:DetectSyntheticRequest",
     "clip_tools:detect_synthetic_task"),
    ("convert_clip", "schemas.clip_tools:ConvertClipRequest", "convert_clip:convert_clip_task"),
    ("apply_effects", "schemas.clip_tools:ApplyEffectsRequest", "apply_effects:apply_effects_task"),
    ("preview_voice_effects", "schemas.clip_tools:PreviewVoiceEffectsRequest",
     "apply_effects:preview_voice_effects_task"),
    ("merge_models", "schemas.clip_tools:MergeModelsRequest", "merge_models:merge_two_models"),
    ("try_batch", "schemas.batch_probe:BatchProbeRequest", "probe_batch:probe_batch_size"),
    ("publish_run", "schemas.checkpoint_export:ExportCheckpointRequest",
     "model_tasks:export_run_checkpoint"),
    ("compare_blind", "training_runs.blind_comparison:CompareBlindRequest",
     "compare_blind:compare_blind_task"),
    ("batch", "schemas.batch_request:BatchRequest", "synthesis.batch_task:synthesize_batch_task"),
    ("prepare", "datasets.prepare_request:PrepareRequest",
     "datasets.prepare_dataset:prepare_from_request"),
    ("preprocess_speakers", "encoders.requests:PreprocessRequest",
     "encoders.evaluation:preprocess_task"),
    ("plot_speakers", "encoders.requests:EvaluateRequest", "encoders.evaluation:plot_task"),
    ("compare_speakers", "encoders.lab:CompareSpeakersRequest",
     "encoders.lab:compare_speakers_task"),
    ("find_speakers", "encoders.lab:FindSpeakersRequest", "encoders.lab:find_speakers_task"),
    ("map_speakers", "encoders.lab:MapSpeakersRequest", "encoders.lab:map_speakers_task"),
    ("preprocess_synthesizer", "sv2tts.requests:PreprocessRequest",
     "sv2tts.datasets:preprocess_task"),
    ("embed_synthesizer", "sv2tts.requests:EmbedRequest", "sv2tts.datasets:embed_task"),
    ("predict_mels", "sv2tts.requests:VocoderPreprocessRequest",
     "sv2tts.datasets:predict_mels_task"),
    ("use_toolbox", "sv2tts.requests:ToolboxRequest", "sv2tts.toolbox:use_toolbox_task"),
    ("make_gold", "datasets.gold_request:GoldRequest", "datasets.gold_dataset:gold_dataset_task"),
    ("locate_words", "subtitles.word_times:LocateWordsRequest",
     "synthesis.word_times:locate_words_task"),
    ("measure_likeness", "history.likeness:MeasureLikenessRequest",
     "encoders.likeness:measure_likeness_task"),
    ("export_gold", "datasets.gold_request:GoldExportRequest",
     "datasets.gold_dataset:export_gold_task"),
    ("finetune_gold", "datasets.gold_finetune:GoldFinetuneRequest",
     "datasets.gold_finetune:finetune_gold_task"),
    ("report_dataset", "datasets.dataset_reports:DatasetReportRequest",
     "datasets.dataset_report:dataset_report_task"),
    ("measure_voice", "schemas.scorecard:MeasureVoiceRequest", "measure_voice:measure_voice_task"),
    ("check_updates", "diagnostics.updates:CheckUpdatesRequest", "model_tasks:check_updates_task"),
)  # fmt: skip
_RESUMABLE = ("speak", "batch", "prepare", "make_gold", "finetune_gold")
_WORK_ESTIMATORS = {"speak": "studio.synthesis.cost:estimate_speech_work"}

TASKS: Mapping[str, Task] = MappingProxyType(
    {
        name: Task(
            request=f"studio.{request}",
            run=f"studio.workers.{function}",
            resumable=name in _RESUMABLE,
            work_estimator=_WORK_ESTIMATORS.get(name, ""),
        )
        for name, request, function in _ROWS
    }
)
