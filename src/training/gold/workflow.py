"""The steps from a recording and its transcript to utterances, each resumable.

    <folder>/project.json        recording, transcript, options, what each step was made from
    <folder>/1-transcript.txt    clean: one turn per line, "Speaker| words"
    <folder>/2-heard.csv         diarize: recognized words with their times
    <folder>/2-diary.csv         diarize: who speaks when
    <folder>/2-overlaps.csv      diarize: when two people speak at once
    <folder>/3-check.csv         check: each turn of the transcript, found or not, and differences
    <folder>/4-words.csv         align: each part of the text with its times and score
    <folder>/5-utterances.csv    split: utterances, with the reason where one is left out

A person may edit each file; the steps after it are then made again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

import numpy as np

from audio.clip import Clip
from core.files import write_json
from core.progress import ProgressReporter
from core.serialization import to_dict
from training.gold.agreement import (
    HeardWord,
    check_turns,
    estimate_spans,
    locate_turns,
    name_speakers,
)
from training.gold.diarization.clustering import (
    Diarization,
    Embed,
    diarize_windows,
    embed_windows,
)
from training.gold.diarization.overlaps import find_overlaps
from training.gold.diarization.pyannote import PYANNOTE, diarize_with_pyannote
from training.gold.diary import Turn, read_diary, rename_speakers, write_diary
from training.gold.project_files import (
    CHECK_FILE,
    DIARY_FILE,
    HEARD_FILE,
    OUTPUTS,
    OVERLAPS_FILE,
    PROJECT_FILE,
    STEPS,
    TRANSCRIPT_FILE,
    UTTERANCES_FILE,
    WORDS_FILE,
    CheckRow,
    DiarizationOptions,
    GoldProject,
    OverlapRow,
    WordRow,
    hash_inputs,
    read_project,
    read_rows,
    write_rows,
)
from training.gold.row_conversion import (
    from_check_row,
    from_word_row,
    read_heard,
    to_check_row,
    to_utterance_row,
    to_word_row,
)
from training.gold.transcripts import TranscriptTurn, read_transcript, read_turns, write_transcript
from training.gold.utterances import (
    MIN_SPEAKER_GAP_S,
    MIN_WORD_SCORE,
    AlignedPart,
    AlignText,
    CompareTexts,
    Pronounce,
    Utterance,
    align_turn,
    split_turn,
)
from training.gold.voice_check import check_voice, measure_voices

UNSURE_EDGE_S = 1.0  # by which a turn with an unsure first or last word may be longer


@dataclass(frozen=True, kw_only=True, eq=False)
class GoldTools:
    """What the steps need. cut: audio between two times; speech: spans of speech in seconds;
    pyannote: the folder of its pipeline."""

    cut: Callable[[float, float], Clip]
    duration_s: float
    speech: Callable[[ProgressReporter], Sequence[tuple[float, float]]]
    embed: Embed
    recognize: Callable[[ProgressReporter], Sequence[HeardWord]] | None
    align: AlignText
    pyannote: Path | None = None
    pronounce: Pronounce = lambda word: ()
    compare: CompareTexts = lambda start, stop, written, heard: None


def run_steps(
    folder: Path,
    tools: GoldTools,
    report: ProgressReporter,
    steps: Sequence[str] = STEPS,
    *,
    anew: bool = False,
) -> list[str]:
    """Run the steps whose inputs have changed since they ran; returns the steps that ran.

    anew: run the given steps in any case.
    """
    ran = []
    for step in steps:
        project = read_project(folder)
        source = hash_inputs(folder, project, step)
        is_there = all((folder / name).is_file() for name in OUTPUTS[step])
        if is_there and project.made_from.get(step) == source and not anew:
            continue
        _RUNNERS[step](folder, project, tools, report)
        made_from = {**project.made_from, step: source}
        write_json(folder / PROJECT_FILE, to_dict(replace(project, made_from=made_from)))
        ran.append(step)
    return ran


def _clean(folder: Path, project: GoldProject, tools: GoldTools, report: ProgressReporter) -> None:
    write_transcript(folder / TRANSCRIPT_FILE, read_transcript(Path(project.transcript)))


def _diarize(
    folder: Path, project: GoldProject, tools: GoldTools, report: ProgressReporter
) -> None:
    turns = read_turns(folder / TRANSCRIPT_FILE)
    options = project.options
    if options.speakers is None:
        options = replace(options, speakers=len({turn.speaker for turn in turns}))
    found = _find_turns(tools, options, report)
    diary = list(found.turns)
    write_rows(
        folder / OVERLAPS_FILE,
        [OverlapRow(start=start, stop=stop) for start, stop in found.overlaps],
    )
    heard = list(tools.recognize(report)) if tools.recognize is not None else []
    write_rows(folder / HEARD_FILE, heard)
    names = name_speakers(diary, _place_turns(turns, heard, diary))
    write_diary(folder / DIARY_FILE, rename_speakers(diary, names))


def _find_turns(
    tools: GoldTools, options: DiarizationOptions, report: ProgressReporter
) -> Diarization:
    wave = wave_of(tools)
    if options.method == PYANNOTE:
        return diarize_with_pyannote(
            wave(0.0, tools.duration_s), tools.pyannote or Path(), options.speakers, report
        )
    speech = list(tools.speech(report))
    windows = embed_windows(wave, speech, tools.embed, options, report)
    found = diarize_windows(windows, speech, options)
    overlaps = find_overlaps(windows, found.turns, found.centroids, wave, tools.embed, report)
    return replace(found, overlaps=overlaps)


def _check(folder: Path, project: GoldProject, tools: GoldTools, report: ProgressReporter) -> None:
    turns = read_turns(folder / TRANSCRIPT_FILE)
    checks = check_turns(turns, read_heard(folder), read_diary(folder / DIARY_FILE))
    write_rows(folder / CHECK_FILE, [to_check_row(check) for check in checks])


def _align(folder: Path, project: GoldProject, tools: GoldTools, report: ProgressReporter) -> None:
    turns = read_turns(folder / TRANSCRIPT_FILE)
    heard = read_heard(folder)
    rows: list[WordRow] = []
    checks = [from_check_row(row) for row in read_rows(folder / CHECK_FILE, CheckRow)]
    for check in report.track(checks, "align"):
        text = turns[check.index].text
        parts = align_turn(check, text, heard, tools.align, tools.pronounce, tools.compare)
        rows += [to_word_row(part) for part in parts]
    write_rows(folder / WORDS_FILE, rows)


def _split(folder: Path, project: GoldProject, tools: GoldTools, report: ProgressReporter) -> None:
    turns = read_turns(folder / TRANSCRIPT_FILE)
    checks = read_rows(folder / CHECK_FILE, CheckRow)
    aligned = [from_word_row(row) for row in read_rows(folder / WORDS_FILE, WordRow)]
    rows = read_rows(folder / OVERLAPS_FILE, OverlapRow)
    overlaps = [(row.start, row.stop) for row in rows]
    diary = read_diary(folder / DIARY_FILE)
    utterances: list[Utterance] = []
    for check in checks:
        if check.status != "agrees" or project.speaker not in ("", check.speaker):
            continue
        parts = [part for part in aligned if part.turn == check.turn]
        text = turns[check.turn].text
        others = overlaps + list_other_speech(checks, aligned, check.speaker)
        others += [
            (turn.start + MIN_SPEAKER_GAP_S, turn.stop - MIN_SPEAKER_GAP_S)
            for turn in diary
            if turn.speaker != check.speaker and turn.duration > 2 * MIN_SPEAKER_GAP_S
        ]
        utterances += split_turn(parts, text, check.speaker, f"{check.turn:04d}", others)
    wave = wave_of(tools)
    voices = measure_voices(utterances, wave, tools.embed)
    checked = [
        check_voice(utterance, diary, voices, wave, tools.embed)
        for utterance in report.track(utterances, "split")
    ]
    write_rows(folder / UTTERANCES_FILE, [to_utterance_row(one) for one in checked])


def list_other_speech(
    checks: Sequence[CheckRow], aligned: Sequence[AlignedPart], speaker: str
) -> list[tuple[float, float]]:
    """Return when others speak: their words, or their turns where no word was aligned.

    Where the first or the last word of a turn is unsure, two people may have spoken at once, and
    the turn may begin earlier or end later than it seems.
    """
    speakers = {check.turn: check.speaker for check in checks}
    others = [part for part in aligned if speakers.get(part.turn) != speaker]
    found = [(part.start, part.stop) for part in others]
    for _, group in groupby(others, key=lambda part: part.turn):
        parts = list(group)
        if parts[0].score < MIN_WORD_SCORE:
            found.append((parts[0].start - UNSURE_EDGE_S, parts[0].stop))
        if parts[-1].score < MIN_WORD_SCORE:
            found.append((parts[-1].start, parts[-1].stop + UNSURE_EDGE_S))
    known = {part.turn for part in aligned}
    return found + [
        (check.start, check.stop)
        for check in checks
        if check.start is not None and check.stop is not None
        if check.turn not in known and check.speaker != speaker
    ]


_RUNNERS: Mapping[str, Callable[[Path, GoldProject, GoldTools, ProgressReporter], None]] = {
    "clean": _clean,
    "diarize": _diarize,
    "check": _check,
    "align": _align,
    "split": _split,
}


def _place_turns(
    turns: Sequence[TranscriptTurn], heard: Sequence[HeardWord], diary: Sequence[Turn]
) -> list[tuple[str, float, float]]:
    """Return name, start and stop of the transcript's turns, from the words that were heard."""
    if not heard:
        return estimate_spans(turns, diary)
    return [
        (turn.speaker, one.start, one.stop)
        for turn, one in zip(turns, locate_turns(turns, heard), strict=True)
        if one.start is not None and one.stop is not None
    ]


def wave_of(tools: GoldTools) -> Callable[[float, float], np.ndarray]:
    """Return what cuts the samples between two times, at 16 kHz."""

    def cut(start: float, stop: float) -> np.ndarray:
        return np.asarray(tools.cut(start, stop).resample(16_000).wave.numpy())

    return cut
