"""The steps of the gold-standard workflow agree with the reference cases."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.sv2tts_cases import Sv2ttsCase, sv2tts_cases
from training.gold import diary
from training.gold.cleaning import clean_as_published
from training.gold.ctc_trellis import align_tokens, compute_trellis, find_path, merge_words
from training.gold.splitting import TimedWord, format_alignment_line, split_greedily
from training.gold.transcripts import read_transcript, write_transcript

STAGE = "goldstandard"


@sv2tts_cases(STAGE, "ctc_align")
def test_words_are_aligned_as_in_the_reference(case: Sv2ttsCase) -> None:
    facts, labels = case.facts, case.facts["labels"]
    log_probs = case.group("in")["log_probs"].double().numpy()
    tokens = [labels.index(character) for character in facts["text"]]
    trellis = compute_trellis(log_probs, tokens, facts["blank"])
    wanted = case.group("out")
    np.testing.assert_allclose(trellis, wanted["trellis"].numpy(), rtol=1e-4, atol=1e-4)
    path = find_path(trellis, log_probs, tokens, facts["blank"])
    assert [list(step[:2]) for step in path] == wanted["path"].tolist()
    np.testing.assert_allclose([step[2] for step in path], wanted["path_scores"].numpy(), atol=1e-4)
    spans = align_tokens(log_probs, facts["text"], labels, facts["blank"])
    for span, (label, start, end, score) in zip(spans, facts["char_segments"], strict=True):
        assert (span.label, span.start, span.end) == (label, start, end)
        assert span.score == pytest.approx(score, abs=1e-4)
    for word, one in zip(merge_words(spans), facts["words"], strict=True):
        assert (word.label, word.start, word.end) == (one["label"], one["start"], one["end"])
        for name in ("score", "start_score", "end_score"):
            assert getattr(word, name) == pytest.approx(one[name], abs=1e-4)


@sv2tts_cases(STAGE, "diary")
def test_diaries_are_written_and_changed_as_in_the_reference(
    case: Sv2ttsCase, tmp_path: Path
) -> None:
    facts = case.facts
    turns = [diary.Turn(start=a, stop=b, speaker=who) for a, b, who in facts["rows"]]
    path = tmp_path / "diary.csv"
    diary.write_diary(path, turns)
    assert path.read_text("utf-8").splitlines() == facts["file_lines"]
    assert diary.read_diary(path) == turns
    merged = diary.merge_turns(turns)
    assert [[turn.start, turn.stop, turn.speaker] for turn in merged] == facts["consolidated"]
    assert diary.format_rttm(turns, "file1") == facts["rttm"]
    rotated = diary.rotate_speakers(merged, facts["wanted_order"])
    assert [turn.speaker for turn in rotated] == facts["cycled_speakers"]


@sv2tts_cases(STAGE, "overwrite_scores")
def test_known_turns_replace_scores_as_in_the_reference(case: Sv2ttsCase) -> None:
    facts = case.facts
    made = diary.overwrite_scores(
        case.group("in")["scores"].numpy(),
        facts["true_activity"],
        facts["window_s"],
        facts["step_s"],
    )
    np.testing.assert_array_equal(made, case.group("out")["scores"].numpy())


@sv2tts_cases(STAGE, "split_waveform")
def test_turns_are_split_greedily_as_in_the_reference(case: Sv2ttsCase) -> None:
    for one in case.facts["cases"]:
        words = [
            TimedWord(start=a, stop=b, text=text, score=score) for a, b, text, score in one["words"]
        ]
        made, has_rest = split_greedily(words, min_s=one["min"], threshold=one["threshold"])
        wanted = [segment for segment in one["segments"] if segment is not None]
        assert has_rest == (None in one["segments"]), one["name"]
        for span, segment in zip(made, wanted, strict=True):
            assert span.start == pytest.approx(segment["start"])
            assert span.stop == pytest.approx(segment["stop"])
            assert [span.first, span.last] == segment["indices"], one["name"]
            assert span.score == segment["score"]


@sv2tts_cases(STAGE, "process_transcript")
def test_transcripts_become_the_reference_words(case: Sv2ttsCase) -> None:
    for one in case.facts["cases"]:
        made = clean_as_published(one["text"])
        if "out" in one:
            assert made == one["out"], one["text"]


@sv2tts_cases(STAGE, "misc")
def test_turns_are_merged_and_indexed_as_in_the_reference(case: Sv2ttsCase, tmp_path: Path) -> None:
    path = tmp_path / "transcript.txt"
    texts = ["A| one", "A| two", "B| three", "B| four", "A| five"]
    path.write_text("\n".join(texts), "utf-8")
    write_transcript(path, read_transcript(path))
    assert path.read_text("utf-8").splitlines(keepends=True) == case.facts["merged"]
    words = [
        TimedWord(start=0.06, stop=0.4, text="HELLO", score=1.0),
        TimedWord(start=0.5, stop=0.96, text="WORLD", score=1.0),
    ]
    line = format_alignment_line("turn-1-alignments", words, 1.25)
    assert line == case.facts["alignment_line_for_duration_1.25"]
