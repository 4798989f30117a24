"""Worker task: speak the rows of a table, list them and pack them."""

from __future__ import annotations

from pathlib import Path

from core.progress import ProgressReporter
from studio.history.export import export_zip
from studio.schemas.batch_request import BatchClip, BatchRequest, BatchTaskResult
from studio.synthesis.batch import BatchJob, synthesize_batch
from studio.synthesis.batch_csv import read_batch_file, read_items
from studio.synthesis.request_builder import SpeechRequestInput
from studio.voices.uploads import resolve_file_ref
from studio.workers.context import WorkerContext


def synthesize_batch_task(
    context: WorkerContext, request: BatchRequest, report: ProgressReporter
) -> BatchTaskResult:
    """Speak every row; a run that was cut off goes on with the rows that have no clip yet."""
    layout = context.layout
    folder = layout.results / request.folder_name
    table = read_batch_file(resolve_file_ref(layout, request.table), request.columns)
    for note in table.notes:
        report.note(note)
    job = BatchJob(
        folder=folder,
        request_input=SpeechRequestInput(
            voice=request.voice or None, preset=request.preset or None
        ),
        layout=layout,
        settings=context.settings,
        synthesizer=context.synthesizer,
        report=report,
    )
    result = synthesize_batch(table.rows, job)
    items = read_items(Path(result.items))
    files = [folder / item.wav for item in items]
    archive = export_zip(layout.exports, files, layout.voices, report).name if files else ""
    return BatchTaskResult(
        folder=request.folder_name,
        archive=archive,
        spoken=result.spoken,
        kept=result.kept,
        clips=tuple(
            BatchClip(path=f"{request.folder_name}/{item.wav}", text=item.text, voice=item.voice)
            for item in items
        ),
        failed=tuple((row.number, row.reason) for row in result.failed),
    )
