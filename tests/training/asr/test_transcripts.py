"""Transcripts that came with recordings are found, read whatever wrote them, or refused by line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from core.tables.text_files import TextFileError, read_text
from support.counting import count_calls
from training.asr.base import TranscribeError, Word, clean_text
from training.asr.transcripts.discovery import ExistingTranscript, find_existing_transcripts

Maker = Callable[..., list[Path]]


@pytest.fixture
def recordings(tmp_path: Path) -> Maker:
    def make(*names: str) -> list[Path]:
        paths = [tmp_path / name for name in names]
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"sound")
        return paths

    return make


def only(found: dict[Path, ExistingTranscript]) -> ExistingTranscript:
    (given,) = found.values()
    return given


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


# text


def test_text_becomes_one_line_with_plain_quotes_and_keeps_its_wording() -> None:
    said = "\ufeff“Dr. Smith’s 2 cats”\n\tcost|£3 — don’t\u200b they?\x00"
    assert clean_text(said) == "\"Dr. Smith's 2 cats\" cost £3 — don't they?"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_text_is_read_in_every_encoding_that_names_itself(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "clip.txt"
    path.write_bytes("Grüß Gott,\r\nЖизнь".encode(encoding))
    assert read_text(path) == "Grüß Gott,\nЖизнь"


def test_windows_quotes_and_dashes_are_read_since_they_are_the_same_everywhere(
    tmp_path: Path,
) -> None:
    path = tmp_path / "clip.txt"
    path.write_bytes(b"\x93It\x92s late\x85\x94 \x96 he said")
    assert clean_text(read_text(path)) == '"It\'s late…" – he said'


def test_letters_in_an_unknown_encoding_are_refused_with_their_byte(tmp_path: Path) -> None:
    path = tmp_path / "clip.txt"
    path.write_bytes("да, Жизнь".encode("cp1251"))
    with pytest.raises(TextFileError, match=r"clip\.txt is not UTF-8: byte 0 is 0xe4.*save"):
        read_text(path)


def test_binary_junk_and_half_a_letter_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "clip.txt"
    path.write_bytes(b"RIFF\x24\x00\x00\x00WAVE")
    with pytest.raises(TextFileError, match=r"not a text file: byte 5 is zero"):
        read_text(path)
    path.write_bytes("ab".encode("utf-16") + b"\x00")
    with pytest.raises(TextFileError, match="starts like UTF-16, but byte 6"):
        read_text(path)


# beside a recording


def test_a_txt_beside_a_clip_is_its_text(recordings: Maker, tmp_path: Path) -> None:
    one, two = recordings("one.wav", "deep/two.flac")
    write(tmp_path / "one.txt", "Good\nevening.")
    write(tmp_path / "deep/two.flac.txt", "And good night.")
    found = find_existing_transcripts(tmp_path, [one, two])
    assert (found[one].text, found[two].text) == ("Good evening.", "And good night.")
    assert found[one].source == "one.txt" and found[one].timed_transcript is None
    (segment,) = found[one].to_transcript(4.0).segments
    assert (segment.start_s, segment.stop_s, segment.confidence) == (0.0, 4.0, 1.0)


def test_an_empty_txt_says_that_nothing_is_said(recordings: Maker, tmp_path: Path) -> None:
    (clip,) = recordings("one.wav")
    write(tmp_path / "one.txt", " \n")
    assert find_existing_transcripts(tmp_path, [clip])[clip].to_transcript(3.0).segments == ()


SRT = """1
00:00:01,000 --> 00:00:02,500
<i>Good</i> evening,
everybody.

2
00:01:02,000 --> 00:01:03,250 X1:10 Y1:20
{\\an8}Good night &amp; bye.
"""


def test_srt_gives_cues_with_times_and_without_tags(recordings: Maker, tmp_path: Path) -> None:
    (clip,) = recordings("talk.mp3")
    (tmp_path / "talk.srt").write_bytes(SRT.replace("\n", "\r\n").encode("utf-8-sig"))
    first, second = only(find_existing_transcripts(tmp_path, [clip])).to_transcript(90.0).segments
    assert (first.start_s, first.stop_s, first.text) == (1.0, 2.5, "Good evening, everybody.")
    assert (second.start_s, second.text) == (62.0, "Good night & bye.")


def test_vtt_passes_over_notes_styles_and_lines_that_roll(
    recordings: Maker, tmp_path: Path
) -> None:
    (clip,) = recordings("talk.webm")
    write(
        tmp_path / "talk.de.vtt",
        "WEBVTT - a title\nKind: captions\n\nNOTE nothing\n\nSTYLE\n::cue { color: red }\n\n"
        "intro\n00:01.000 --> 00:02.000 align:start\n<v Anna>Guten <00:01.500>Abend</v>\n\n"
        "00:02.000 --> 00:02.010\nGuten Abend\n\n00:03.000 --> 00:04.000\nGute Nacht\n",
    )
    given = only(find_existing_transcripts(tmp_path, [clip]))
    assert [segment.text for segment in given.to_transcript(9).segments] == [
        "Guten Abend",
        "Gute Nacht",
    ]
    assert given.to_transcript(9).language == "de" and given.source == "talk.de.vtt"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("1\n00:00:01,000 -> 00:00:02,000\nHello\n", r"talk\.srt, line 1: '1' is not the beginn"),
        ("1\n00:00:05,000 --> 00:00:02,000\nHello\n", r"talk\.srt, line 2: it stops before"),
    ],
)
def test_a_file_without_any_good_cue_is_refused_with_its_line(
    recordings: Maker, tmp_path: Path, text: str, complaint: str
) -> None:
    files = recordings("talk.wav")
    write(tmp_path / "talk.srt", text)
    with pytest.raises(TranscribeError, match=complaint):
        find_existing_transcripts(tmp_path, files)


WHISPER_OUTPUT = {
    "text": " Good evening.",
    "language": "en",
    "segments": [
        {
            "id": 0, "start": 0.5, "end": 1.9, "text": " Good evening.",
            "words": [
                {"word": " Good", "start": 0.5, "end": 0.9, "probability": 0.9},
                {"word": " evening.", "start": 0.9, "end": 1.9, "probability": 0.8},
            ],
        }
    ],
}  # fmt: skip


def test_whispers_own_json_gives_words_with_times(recordings: Maker, tmp_path: Path) -> None:
    (clip,) = recordings("talk.wav")
    write(tmp_path / "talk.json", json.dumps(WHISPER_OUTPUT))
    transcript = only(find_existing_transcripts(tmp_path, [clip])).to_transcript(5.0)
    assert transcript.language == "en"
    assert transcript.segments[0].words == (
        Word(text="Good", start_s=0.5, stop_s=0.9),
        Word(text="evening.", start_s=0.9, stop_s=1.9),
    )


def test_a_word_that_whisperx_left_without_times_lies_between_its_neighbours(
    recordings: Maker, tmp_path: Path
) -> None:
    (clip,) = recordings("talk.wav")
    words = [{"word": "in", "start": 0.1, "end": 0.3, "score": 0.9}, {"word": "1969"},
             {"word": "we", "start": 1.1, "end": 1.2}]  # fmt: skip
    row = {"start": 0.1, "end": 1.2, "text": "in 1969 we", "words": words}
    write(tmp_path / "talk.json", json.dumps({"segments": [row], "word_segments": words}))
    (segment,) = only(find_existing_transcripts(tmp_path, [clip])).to_transcript(5.0).segments
    assert segment.words[1] == Word(text="1969", start_s=0.3, stop_s=1.1)


def test_json_that_is_no_transcript_is_passed_over(recordings: Maker, tmp_path: Path) -> None:
    (clip,) = recordings("talk.wav")
    write(tmp_path / "talk.json", '{"seed": 4}')
    write(tmp_path / "talk.txt", "Hello.")
    assert only(find_existing_transcripts(tmp_path, [clip])).source == "talk.txt"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('{"segments": [\n{"start": 0,]}', r"talk\.json, line 2: invalid JSON"),
        ('{"segments": [{"start": "x", "end": 1}]}', r"segment 1: its 'start' is 'x', not sec"),
        ('{"segments": [{"start": 2, "end": 1}]}', r"segment 1: it ends at 1 s, before"),
        ('{"segments": [{"start": 0, "end": NaN}]}', r"its 'end' is nan"),
        ('{"segments": [{"start": 0, "end": 1, "words": [{}]}]}', r"word 1: it has no text"),
        ('{"segments": ["hello"]}', r"segment 1: not a table"),
        ("[" * 100_000, r"nested too deeply|invalid JSON"),
    ],
)
def test_malformed_json_is_refused_with_its_place(
    recordings: Maker, tmp_path: Path, text: str, complaint: str
) -> None:
    files = recordings("talk.wav")
    write(tmp_path / "talk.json", text)
    with pytest.raises(TranscribeError, match=complaint):
        find_existing_transcripts(tmp_path, files)


def test_what_lies_behind_the_end_of_a_recording_is_left_out(
    recordings: Maker, tmp_path: Path
) -> None:
    (clip,) = recordings("talk.wav")
    write(tmp_path / "talk.srt", SRT)
    (segment,) = only(find_existing_transcripts(tmp_path, [clip])).to_transcript(2.0).segments
    assert segment.stop_s == 2.0


# lists


@pytest.mark.parametrize("id", ["a1", "a1.wav", "wavs/a1", "wavs/a1.wav", "wavs\\A1.WAV"])
def test_ljspeech_ids_are_found_in_every_spelling(
    recordings: Maker, tmp_path: Path, id: str
) -> None:
    (clip,) = recordings("wavs/a1.flac")
    write(tmp_path / "metadata.csv", f"{id}|It cost $2.|It cost two dollars.\n")
    for folder in (tmp_path, tmp_path / "wavs"):
        given = only(find_existing_transcripts(folder, [clip]))
        assert given.text == "It cost two dollars."
        assert given.source == "metadata.csv, line 1"


def test_an_empty_third_column_falls_back_and_one_that_names_a_speaker_is_passed_over(
    recordings: Maker, tmp_path: Path
) -> None:
    files = recordings("a.wav", "b.wav", "c.wav")
    write(tmp_path / "metadata.csv", "a|Three.|three.\nb|Two.|\nc|One.|one.\n")
    assert [given.text for given in find_existing_transcripts(tmp_path, files).values()] == [
        "three.",
        "Two.",
        "one.",
    ]
    write(
        tmp_path / "metadata.csv",
        "audio_file|text|speaker_name\na.wav|Three.|@me\nb.wav|Two.|@me\nc.wav|One.|@me\n",
    )
    assert [given.text for given in find_existing_transcripts(tmp_path, files).values()] == [
        "Three.",
        "Two.",
        "One.",
    ]


def test_what_lies_beside_a_clip_goes_before_a_list(recordings: Maker, tmp_path: Path) -> None:
    files = recordings("a.wav", "b.wav", "c.wav")
    write(tmp_path / "train.txt", "audio/a.wav|from the list\nb.wav|from the list\n")
    write(tmp_path / "a.txt", "beside")
    found = find_existing_transcripts(tmp_path, files)
    assert {path.name: given.text for path, given in found.items()} == {
        "a.wav": "beside",
        "b.wav": "from the list",
    }


def test_a_recording_called_train_has_its_own_text(recordings: Maker, tmp_path: Path) -> None:
    files = recordings("train.wav")
    write(tmp_path / "train.txt", "The train is late.")
    assert only(find_existing_transcripts(tmp_path, files)).text == "The train is late."


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a|Hello.\njust words\n", r"metadata\.csv, line 2: it has no '\|'\. A line must be"),
        ("a|b|c|d\n", r"metadata\.csv, line 1: 4 columns"),
        ("\n|Hello\n", r"metadata\.csv, line 2: no clip is named"),
        ("a|One.\na.wav|Two.\n", r"metadata\.csv gives 'a' one text in line 1 and anot.*line 2"),
    ],
)
def test_a_malformed_line_of_a_list_is_refused_with_its_number(
    recordings: Maker, tmp_path: Path, text: str, complaint: str
) -> None:
    files = recordings("a.wav")
    write(tmp_path / "metadata.csv", text)
    with pytest.raises(TranscribeError, match=complaint):
        find_existing_transcripts(tmp_path, files)


def test_a_line_that_could_mean_two_recordings_is_refused(
    recordings: Maker, tmp_path: Path
) -> None:
    files = recordings("x/a.wav", "y/a.wav")
    write(tmp_path / "metadata.csv", "a|Hello.\n")
    with pytest.raises(TranscribeError, match=r"metadata\.csv: Line 1 names 'a', .*x/a\.wav or y"):
        find_existing_transcripts(tmp_path, files)
    write(tmp_path / "metadata.csv", "x/a|Hello.\ny/a.wav|Bye.\n")
    assert [given.text for given in find_existing_transcripts(tmp_path, files).values()] == [
        "Hello.",
        "Bye.",
    ]


def test_our_own_whisper_json_names_recordings_by_file(recordings: Maker, tmp_path: Path) -> None:
    one, two = recordings("one.wav", "two.wav")
    write(tmp_path / "whisper.json", json.dumps({"one.wav": WHISPER_OUTPUT, "other.wav": {}}))
    found = find_existing_transcripts(tmp_path, [one, two])
    assert (
        list(found) == [one] and found[one].timed_transcript and found[one].source == "whisper.json"
    )


def test_all_that_is_malformed_is_told_at_once(recordings: Maker, tmp_path: Path) -> None:
    files = recordings(*(f"{number}.wav" for number in range(7)))
    for number in range(7):
        (tmp_path / f"{number}.txt").write_bytes(b"\xff\xff")
    with pytest.raises(TranscribeError, match=r"(?s)0\.txt.*4\.txt.*and 2 more") as refusal:
        find_existing_transcripts(tmp_path, files)
    assert len(str(refusal.value).splitlines()) == 6


def test_the_person_of_ljspeech_is_found_whole() -> None:
    folder = Path(__file__).resolve().parents[4] / "shared/speech/ljspeech"
    if not folder.is_dir():
        pytest.skip("needs the real speech beside the repository")
    files = sorted((folder / "wavs").glob("*.flac"))
    found = find_existing_transcripts(folder, files)
    assert len(found) == len(files) == 24
    assert found[files[1]].text == "in being comparatively modern."


def test_the_work_grows_with_the_number_of_clips_and_no_faster(
    recordings: Maker, tmp_path: Path
) -> None:
    files = recordings(*(f"{number}.wav" for number in range(1000)))
    for file in files[::2]:
        write(file.with_suffix(".txt"), file.stem)
    write(tmp_path / "metadata.csv", "".join(f"{file.stem}|{file.stem}\n" for file in files))
    found, calls = count_calls(lambda: find_existing_transcripts(tmp_path, files))
    _, fewer = count_calls(lambda: find_existing_transcripts(tmp_path, files[:500]))
    assert len(found) == 1000
    assert calls < 2.5 * fewer and calls < 1000 * 1000
