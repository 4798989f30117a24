"""Build the clips of one recording from its transcript: segment, check, normalize."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from audio.clip import Clip, ClipError
from audio.denoise import ClipDenoiseOptions, apply_high_pass, denoise_clip
from audio.long_audio import Recording
from audio.loudness import normalize_loudness
from core.progress import ProgressReporter
from training.asr.base import SAMPLE_RATE, Segment, Word, to_single_line
from training.asr.forced_alignment import MAX_ALIGNMENT_S, WordAlignment, find_aligner
from training.asr.voice_activity import SpeechTimestamps, TimeSpan
from training.asr.wer import compute_pocketsphinx_wer
from training.dataset_prep.clip_metrics import (
    ClipMetrics,
    apply_fades,
    check_audio_quality,
    compute_clip_metrics,
)
from training.dataset_prep.manifest import ClipRow
from training.dataset_prep.options import LIGHT_CLEANING, PrepareOptions
from training.dataset_prep.segmentation import (
    ClipSegment,
    TextUnit,
    find_overlapping_spans,
    join_unit_texts,
    segment_recording,
)
from training.dataset_prep.transcription import RecordingTranscript

MAX_UNEXPLAINED_S = (
    0.25  # of sound beside the words of a text; clean clips with right texts leave 0.03
)
DOUBTFUL_WER = (
    0.75  # of the words are not aligned; correct texts of noisy clips reach 0.55, wrong ones 1
)
MIN_UNTRANSCRIBED_S = 0.6  # shorter speech without words is not worth a row
MAX_UNTRANSCRIBED_S = 30.0  # of speech without words in one row
MAX_MERGE_GAP_S = 1.0
HIGH_PASS_HZ = 20.0
NOISE_CONTEXT_S = 10.0  # around a clip, in which its noise is learnt before it is cleaned
LATIN_SCRIPT_LANGUAGES = frozenset(
    {"en", "de", "fr", "es", "it", "pt", "nl", "sv", "da", "no", "pl", "tr", "fi"}
)
MAX_FOREIGN_LETTER_SHARE = 0.3  # of the letters


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltClip:
    """A row, with a number as its id, and its audio."""

    row: ClipRow
    sound: Clip


def build_clips(
    recording: Recording,
    activity: SpeechTimestamps,
    transcript: RecordingTranscript,
    options: PrepareOptions,
    report: ProgressReporter,
    models: Path | None = None,
) -> Iterator[BuiltClip]:
    """Yield every clip of a recording, kept or dropped, in order.

    models: the folder of speech recognition models, for the alignment of texts.
    """
    units, doubtful = _build_units(recording, transcript, options, models, report)
    pieces = segment_recording(
        units, activity.spans, recording.duration_s, options, transcript.word_separator
    )
    pieces = sorted(
        [*pieces, *_find_untranscribed(activity, pieces)], key=lambda piece: piece.start_s
    )
    for number, piece in enumerate(pieces, start=1):
        report.check_cancelled()
        is_doubted = any(unit in doubtful for unit in piece.units)
        yield _build_clip(recording, piece, transcript, options, (str(number), is_doubted))


def _build_units(
    recording: Recording,
    transcript: RecordingTranscript,
    options: PrepareOptions,
    models: Path | None,
    report: ProgressReporter,
) -> tuple[list[TextUnit], set[TextUnit]]:
    """Return the units that are never cut, and those whose text is probably wrong."""
    units: list[TextUnit] = []
    doubtful: set[TextUnit] = set()
    segments = transcript.transcript.segments
    for segment in segments:
        report.check_cancelled()
        words, is_doubted = segment.words, False
        if not words:
            words, is_doubted = _align_segment(
                recording, segment, transcript, options, models, report
            )
        is_whole = not segment.words and len(segments) == 1 and _fits(segment, options)
        if words and not is_whole:
            units += _words_to_units(segment, words)
            continue
        whole = TextUnit(
            text=segment.text, start_s=segment.start_s, stop_s=segment.stop_s, is_word=False,
            confidence=segment.confidence, words=words,
        )  # fmt: skip
        units.append(whole)
        doubtful |= {whole} if is_doubted else set()
    return units, doubtful


def _fits(segment: Segment, options: PrepareOptions) -> bool:
    seconds = segment.stop_s - segment.start_s
    return seconds <= options.longest_s and len(segment.text) <= options.most_letters


def _words_to_units(segment: Segment, words: Sequence[Word]) -> list[TextUnit]:
    return [
        TextUnit(
            text=word.text, start_s=word.start_s, stop_s=max(word.start_s, word.stop_s),
            confidence=segment.confidence,
        )
        for word in words
    ]  # fmt: skip


def _align_segment(
    recording: Recording,
    segment: Segment,
    transcript: RecordingTranscript,
    options: PrepareOptions,
    models: Path | None,
    report: ProgressReporter,
) -> tuple[tuple[Word, ...], bool]:
    """Return the words of a text with their times, and whether transcript probably wrong."""
    needed = not _fits(segment, options) or (transcript.is_given and options.check_text)
    language = transcript.language or transcript.transcript.language
    align = find_aligner(segment.text, language, models) if needed else None
    if align is None:
        return (), False
    if segment.stop_s - segment.start_s > MAX_ALIGNMENT_S:
        return (), False
    wave = recording.extract_clip(segment.start_s, segment.stop_s).resample(SAMPLE_RATE).wave
    found = align(wave, segment.text)
    suspect = found is None or found.unaligned_speech_s > MAX_UNEXPLAINED_S
    if suspect and options.check_text and _is_doubtful(wave, segment.text, language, found, report):
        return (), True
    return () if found is None else tuple(_shift_words(found.words, segment.start_s)), False


def _is_doubtful(
    wave: Tensor, text: str, language: str, found: WordAlignment | None, report: ProgressReporter
) -> bool:
    """Check a suspect text with a recognizer: echo or noise makes right texts suspect, too."""
    wrong = compute_pocketsphinx_wer(wave, text, report) if language == "en" else None
    return found is None if wrong is None else wrong >= DOUBTFUL_WER


def _shift_words(words: Sequence[Word], by_s: float) -> Iterator[Word]:
    for word in words:
        yield replace(word, start_s=word.start_s + by_s, stop_s=word.stop_s + by_s)


def _find_untranscribed(
    activity: SpeechTimestamps, pieces: Sequence[ClipSegment]
) -> list[ClipSegment]:
    """Return the speech outside of all segments, as segments without words."""
    gaps: list[TimeSpan] = []
    edges = sorted((piece.start_s, piece.stop_s) for piece in pieces)
    for start, stop in activity.spans:
        for left, right in [*find_overlapping_spans(edges, start, stop), (stop, stop)]:
            if left > start and min(left, stop) - start >= MIN_UNTRANSCRIBED_S:
                gaps.append((start, min(left, stop)))
            start = max(start, right)
            if start >= stop:
                break
    rows: list[TimeSpan] = []
    for start, stop in gaps:
        if (
            rows
            and start - rows[-1][1] < MAX_MERGE_GAP_S
            and stop - rows[-1][0] <= MAX_UNTRANSCRIBED_S
        ):
            rows[-1] = (rows[-1][0], stop)
            continue
        while stop - start > MAX_UNTRANSCRIBED_S:
            rows.append((start, start + MAX_UNTRANSCRIBED_S))
            start += MAX_UNTRANSCRIBED_S
        rows.append((start, stop))
    return [ClipSegment(start_s=a, stop_s=b, units=(), reason="no_words") for a, b in rows]


def _build_clip(
    recording: Recording,
    piece: ClipSegment,
    transcript: RecordingTranscript,
    options: PrepareOptions,
    about: tuple[str, bool],
) -> BuiltClip:
    """Cut one segment out and check it.  about: its number, and whether its text is doubtful."""
    number, is_doubted = about
    clip, found = _extract_audio(recording, piece, options)
    kept, reason = check_audio_quality(found, options)
    text = to_single_line(join_unit_texts(piece.units, transcript.word_separator))
    if piece.reason and reason != "silent":
        kept, reason = False, piece.reason
    elif kept and (worse := _find_text_problem(piece, text, transcript, options, is_doubted)):
        kept, reason = False, worse
    sure = 0.0 if is_doubted else piece.confidence
    row = ClipRow(
        id=number,
        source=recording.name,
        start_s=round(piece.start_s, 3),
        stop_s=round(round(piece.start_s, 3) + clip.duration_s, 3),
        text=text,
        kept=kept,
        reason=reason,
        confidence=None if sure is None else round(sure, 3),
        words=_collect_words(piece),
        level_db=found.level_db,
        snr_db=found.snr_db,
        clipped_share=found.clipped_share,
        sound=found.sound,
    )
    return BuiltClip(row=row, sound=normalize_loudness(apply_fades(clip), options.loudness))


def _extract_audio(
    recording: Recording, piece: ClipSegment, options: PrepareOptions
) -> tuple[Clip, ClipMetrics]:
    """Return the audio of a segment, denoised if requested, and its metrics."""
    clip = recording.extract_clip(piece.start_s, piece.stop_s)
    if options.clean == LIGHT_CLEANING:
        clip = _denoise(recording, piece)
    level = apply_high_pass(clip.wave, clip.sample_rate, HIGH_PASS_HZ)  # some recorders add a level
    clip = replace(clip, wave=level.clamp(-1, 1))
    return clip, compute_clip_metrics(
        clip, recording.get_clipped_fraction(piece.start_s, piece.stop_s)
    )


def _denoise(recording: Recording, piece: ClipSegment) -> Clip:
    start = max(0.0, piece.start_s - NOISE_CONTEXT_S)
    around = recording.extract_clip(start, piece.stop_s + NOISE_CONTEXT_S)
    try:
        around = denoise_clip(around, ClipDenoiseOptions())
    except ClipError:  # digital silence, handled separately
        return recording.extract_clip(piece.start_s, piece.stop_s)
    first = round((piece.start_s - start) * around.sample_rate)
    length = recording.extract_clip(piece.start_s, piece.stop_s).wave.shape[0]
    return replace(around, wave=around.wave[first : first + length])


def _find_text_problem(
    piece: ClipSegment,
    text: str,
    entry: RecordingTranscript,
    options: PrepareOptions,
    is_doubted: bool,
) -> str:
    """Return the reason to drop a text, or ""."""
    if not re.search(r"\w", text):
        return "no_words"
    if is_doubted:
        return "doubtful_text"
    expected, detected = entry.language, entry.transcript.language
    if (expected and detected and expected != detected) or (
        expected in LATIN_SCRIPT_LANGUAGES and _is_foreign(text)
    ):
        return "other_language"
    sure = 1.0 if piece.confidence is None else piece.confidence
    return "doubtful_text" if sure < options.least_confidence else ""


def _is_foreign(text: str) -> bool:
    """Return whether too many letters are of another script."""
    letters = [sign for sign in text if sign.isalpha()]
    return sum(ord(sign) > 0x24F for sign in letters) > MAX_FOREIGN_LETTER_SHARE * len(letters)


def _collect_words(piece: ClipSegment) -> tuple[Word, ...]:
    """Return the words with known times, in seconds of the clip."""
    known: list[Word] = []
    for unit in piece.units:
        if unit.is_word:
            known.append(Word(text=unit.text.strip(), start_s=unit.start_s, stop_s=unit.stop_s))
        known += unit.words
    if any(not unit.is_word and not unit.words for unit in piece.units):
        return ()
    last = piece.stop_s - piece.start_s
    return tuple(
        Word(
            text=to_single_line(word.text),
            start_s=round(min(max(0.0, word.start_s - piece.start_s), last), 3),
            stop_s=round(min(max(0.0, word.stop_s - piece.start_s), last), 3),
        )
        for word in known
    )
