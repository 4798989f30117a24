"""From one recording and what is said in it to its clips: cut, judged, evened out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from jobs.report import Reporter
from speech.cleanup import CleanOptions, clean, without_rumble
from speech.clip import Clip, ClipError
from speech.loudness import with_loudness
from speech.recordings import Recording
from training.align_words import LONGEST_S, Followed, align_words, can_align
from training.cutting import Piece, Unit, cut_recording, text_of, times_within
from training.manifest import ClipRow, Word, plain_text
from training.measures import Measures, faded, judge_sound, measure_clip
from training.prepare_hearing import Said
from training.prepare_options import LIGHT_CLEANING, PrepareOptions
from training.transcribe.base import RATE, Segment
from training.transcribe.doubt import doubt
from training.voice_activity import Activity, Times

UNEXPLAINED_S = 0.25  # of sound beside the words of a text; clean clips with right texts leave 0.03
DOUBTFUL = 0.75  # of the words are not heard; right texts of noisy clips came to 0.55, wrong to 1
UNHEARD_S = 0.6  # shorter speech without words is not worth a row
ROW_S = 30.0  # of speech without words in one row
NEAR_S = 1.0
INAUDIBLE_HZ = 20.0
CONTEXT_S = 10.0  # around a clip, in which its noise is learnt before it is cleaned
LATIN = frozenset({"en", "de", "fr", "es", "it", "pt", "nl", "sv", "da", "no", "pl", "tr", "fi"})
OTHER_LETTERS = 0.3  # of the letters


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A row, its id still a number, and its sound."""

    row: ClipRow
    sound: Clip


def make_clips(
    recording: Recording,
    activity: Activity,
    said: Said,
    options: PrepareOptions,
    report: Reporter,
) -> Iterator[Made]:
    """Yield every clip of a recording, kept or dropped, in order."""
    units, doubtful = _units(recording, said, options, report)
    pieces = cut_recording(units, activity.spans, recording.seconds, options, said.blank)
    pieces = sorted([*pieces, *_unheard(activity, pieces)], key=lambda piece: piece.start_s)
    for number, piece in enumerate(pieces, start=1):
        report.check()
        is_doubted = any(unit in doubtful for unit in piece.units)
        yield _made(recording, piece, said, options, (str(number), is_doubted))


def _units(
    recording: Recording, said: Said, options: PrepareOptions, report: Reporter
) -> tuple[list[Unit], set[Unit]]:
    """Return what is never cut, and which of it is probably not what is said."""
    units: list[Unit] = []
    doubtful: set[Unit] = set()
    segments = said.transcript.segments
    for segment in segments:
        report.check()
        words, is_doubted = segment.words, False
        if not words:
            words, is_doubted = _followed(recording, segment, said, options, report)
        is_whole = not segment.words and len(segments) == 1 and _fits(segment, options)
        if words and not is_whole:
            units += _words(segment, words)
            continue
        whole = Unit(
            text=segment.text, start_s=segment.start_s, stop_s=segment.stop_s, is_word=False,
            confidence=segment.confidence, words=words,
        )  # fmt: skip
        units.append(whole)
        doubtful |= {whole} if is_doubted else set()
    return units, doubtful


def _fits(segment: Segment, options: PrepareOptions) -> bool:
    seconds = segment.stop_s - segment.start_s
    return seconds <= options.longest_s and len(segment.text) <= options.most_letters


def _words(segment: Segment, words: Sequence[Word]) -> list[Unit]:
    return [
        Unit(
            text=word.text, start_s=word.start_s, stop_s=max(word.start_s, word.stop_s),
            confidence=segment.confidence,
        )
        for word in words
    ]  # fmt: skip


def _followed(
    recording: Recording, segment: Segment, said: Said, options: PrepareOptions, report: Reporter
) -> tuple[tuple[Word, ...], bool]:
    """Return when the words of a text are said, and whether they probably are not."""
    needed = not _fits(segment, options) or (said.is_given and options.check_text)
    if not needed or not can_align(said.language or said.transcript.language):
        return (), False
    if segment.stop_s - segment.start_s > LONGEST_S:
        return (), False
    wave = recording.part(segment.start_s, segment.stop_s).resampled(RATE).wave
    found = align_words(wave, segment.text)
    suspect = found is None or found.unexplained_s > UNEXPLAINED_S
    if suspect and options.check_text and _is_doubtful(wave, segment.text, found, report):
        return (), True
    return () if found is None else tuple(_later(found.words, segment.start_s)), False


def _is_doubtful(wave: Tensor, text: str, found: Followed | None, report: Reporter) -> bool:
    """Ask for a second opinion: nearly nothing of a wrong text is heard by who does not know it.

    An echo or a crowd makes a right text suspect as well.
    """
    wrong = doubt(wave, text, report)
    return found is None if wrong is None else wrong >= DOUBTFUL


def _later(words: Sequence[Word], by_s: float) -> Iterator[Word]:
    for word in words:
        yield replace(word, start_s=word.start_s + by_s, stop_s=word.stop_s + by_s)


def _unheard(activity: Activity, pieces: Sequence[Piece]) -> list[Piece]:
    """Return the speech that no piece holds, as pieces without words."""
    gaps: list[Times] = []
    edges = sorted((piece.start_s, piece.stop_s) for piece in pieces)
    for start, stop in activity.spans:
        for left, right in [*times_within(edges, start, stop), (stop, stop)]:
            if left > start and min(left, stop) - start >= UNHEARD_S:
                gaps.append((start, min(left, stop)))
            start = max(start, right)
            if start >= stop:
                break
    rows: list[Times] = []
    for start, stop in gaps:
        if rows and start - rows[-1][1] < NEAR_S and stop - rows[-1][0] <= ROW_S:
            rows[-1] = (rows[-1][0], stop)
            continue
        while stop - start > ROW_S:
            rows.append((start, start + ROW_S))
            start += ROW_S
        rows.append((start, stop))
    return [Piece(start_s=a, stop_s=b, units=(), reason="no_words") for a, b in rows]


def _made(
    recording: Recording,
    piece: Piece,
    said: Said,
    options: PrepareOptions,
    about: tuple[str, bool],
) -> Made:
    """Cut one piece out and judge it.  about: its number, and whether its text is doubted."""
    number, is_doubted = about
    clip, found = _sounding(recording, piece, options)
    kept, reason = judge_sound(found, options)
    text = plain_text(text_of(piece.units, said.blank))
    if piece.reason and reason != "silent":
        kept, reason = False, piece.reason
    elif kept and (worse := _wrong_with_text(piece, text, said, options, is_doubted)):
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
        words=_words_within(piece),
        level_db=found.level_db,
        snr_db=found.snr_db,
        clipped_share=found.clipped_share,
        sound=found.sound,
    )
    return Made(row=row, sound=with_loudness(faded(clip), options.loudness))


def _sounding(recording: Recording, piece: Piece, options: PrepareOptions) -> tuple[Clip, Measures]:
    """Return the sound of a piece, cleaned if wanted, and what is measured of it."""
    clip = recording.part(piece.start_s, piece.stop_s)
    if options.clean == LIGHT_CLEANING:
        clip = _cleaned(recording, piece)
    level = without_rumble(clip.wave, clip.sample_rate, INAUDIBLE_HZ)  # some recorders add a level
    clip = replace(clip, wave=level.clamp(-1, 1))
    return clip, measure_clip(clip, recording.cut_share(piece.start_s, piece.stop_s))


def _cleaned(recording: Recording, piece: Piece) -> Clip:
    start = max(0.0, piece.start_s - CONTEXT_S)
    around = recording.part(start, piece.stop_s + CONTEXT_S)
    try:
        around = clean(around, CleanOptions())
    except ClipError:  # digital silence; it is judged as that
        return recording.part(piece.start_s, piece.stop_s)
    first = round((piece.start_s - start) * around.sample_rate)
    length = recording.part(piece.start_s, piece.stop_s).wave.shape[0]
    return replace(around, wave=around.wave[first : first + length])


def _wrong_with_text(
    piece: Piece, text: str, said: Said, options: PrepareOptions, is_doubted: bool
) -> str:
    """Say why a text cannot be learned from, or ""."""
    if not re.search(r"\w", text):
        return "no_words"
    if is_doubted:
        return "doubtful_text"
    wanted, heard = said.language, said.transcript.language
    if (wanted and heard and wanted != heard) or (wanted in LATIN and _is_foreign(text)):
        return "other_language"
    sure = 1.0 if piece.confidence is None else piece.confidence
    return "doubtful_text" if sure < options.least_confidence else ""


def _is_foreign(text: str) -> bool:
    """Whether too many letters are of another script."""
    letters = [sign for sign in text if sign.isalpha()]
    return sum(ord(sign) > 0x24F for sign in letters) > OTHER_LETTERS * len(letters)


def _words_within(piece: Piece) -> tuple[Word, ...]:
    """Return the words of a piece that are known by time, in seconds of the clip."""
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
            text=plain_text(word.text),
            start_s=round(min(max(0.0, word.start_s - piece.start_s), last), 3),
            stop_s=round(min(max(0.0, word.stop_s - piece.start_s), last), 3),
        )
        for word in known
    )
