"""Captions and labels as programs write them: rolling lines, comments, broken cues, encodings."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.asr.base import TranscribeError
from training.asr.transcripts.subtitles import Subtitles, read_labels, read_subtitles

A, B, C = "we leave at noon", "bring a coat", "the road is wet"


def stamp(seconds: float, mark: str = ",") -> str:
    return f"00:00:{int(seconds):02d}{mark}{round(seconds % 1 * 1000):03d}"


def srt(*cues: tuple[float, float, str], numbers: bool = True, gap: str = "\n\n") -> str:
    blocks = []
    for number, (start, stop, text) in enumerate(cues, start=1):
        head = f"{number}\n" if numbers else ""
        blocks.append(f"{head}{stamp(start)} --> {stamp(stop)}\n{text}")
    return gap.join(blocks) + "\n"


def vtt(*cues: tuple[float, float, str], head: str = "WEBVTT", settings: str = "") -> str:
    blocks = [f"{stamp(a, '.')} --> {stamp(b, '.')}{settings}\n{text}" for a, b, text in cues]
    return "\n\n".join([head, *blocks]) + "\n"


THREE = ((1.0, 2.5, A), (3.0, 4.5, B), (5.0, 6.5, C))
ONE_TWO_THREE = [(1.0, 2.5, A), (3.0, 4.5, B), (5.0, 6.5, C)]
ONE_THREE = [(1.0, 2.5, A), (5.0, 6.5, C)]
TWO = "2\n00:00:03,000 --> 00:00:04,500\nbring a coat"
ROLLING = """WEBVTT
Kind: captions
Language: en

00:00:01.000 --> 00:00:02.990 align:start position:0%
 
we<00:00:01.300><c> leave</c><00:00:01.600><c> at</c><00:00:01.900><c> noon</c>

00:00:02.990 --> 00:00:03.000 align:start position:0%
we leave at noon
 

00:00:03.000 --> 00:00:04.990 align:start position:0%
we leave at noon
bring<00:00:03.300><c> a</c><00:00:03.600><c> coat</c>

00:00:04.990 --> 00:00:05.000 align:start position:0%
bring a coat
 

00:00:05.000 --> 00:00:06.500 align:start position:0%
bring a coat
the<00:00:05.300><c> road</c><00:00:05.600><c> is</c><00:00:05.900><c> wet</c>
"""
ROLLED = [(1.0, 3.0, A), (3.0, 5.0, B), (5.0, 6.5, C)]
STEADY = ((1.0, 3.0, A), (3.0, 5.0, f"{A}\n{B}"), (5.0, 6.5, f"{A}\n{B}\n{C}"))

CASES: dict[str, tuple[str, list[tuple[float, float, str]]]] = {
    "rolling captions of YouTube": (ROLLING, ROLLED),
    "rolling captions without the space of empty lines": (
        "\n".join(line.rstrip() for line in ROLLING.split("\n")), ROLLED),
    "rolling captions with Windows line ends": (ROLLING.replace("\n", "\r\n"), ROLLED),
    "rolling captions without word times": (
        vtt((1, 3, A), (3, 3.01, A), (3.01, 5, f"{A}\n{B}"), (5, 5.01, B),
            (5.01, 6.5, f"{B}\n{C}")),
        [(1.0, 3.01, A), (3.01, 5.01, B), (5.01, 6.5, C)]),
    "three lines that roll": (
        srt(*STEADY[:2], (5.0, 6.5, f"{A}\n{B}\n{C}"), (6.5, 8.0, f"{B}\n{C}\nso mind it")),
        [*ROLLED, (6.5, 8.0, "so mind it")]),
    "a line that grows word by word": (
        srt((1.0, 1.5, "we leave"), (1.5, 2.0, "we leave at noon"), (3.0, 4.5, B)),
        [(1.0, 1.5, "we leave"), (1.5, 2.0, "at noon"), (3.0, 4.5, B)]),
    "a sentence said again later": (
        srt((1.0, 2.0, A), (4.0, 5.0, A)), [(1.0, 2.0, A), (4.0, 5.0, A)]),
    "a last word said again": (
        srt((1.0, 2.0, "I said no"), (2.0, 3.0, "no one came")),
        [(1.0, 2.0, "I said no"), (2.0, 3.0, "no one came")]),
    "cue settings": (vtt(*THREE, settings=" line:5% position:50%,line-left"), ONE_TWO_THREE),
    "times without hours": (vtt(*THREE).replace("00:00:0", "00:0"), ONE_TWO_THREE),
    "minutes beyond an hour without hours": (
        f"WEBVTT\n\n75:01.000 --> 75:02.000\n{A}\n", [(4501.0, 4502.0, A)]),
    "hours with three digits": (
        f"1\n100:00:01,000 --> 100:00:02,000\n{A}\n", [(360001.0, 360002.0, A)]),
    "times without fraction in one place": (
        f"1\n00:00:01 --> 00:00:02,500\n{A}\n", [(1.0, 2.5, A)]),
    "milliseconds behind a colon": (
        f"1\n00:00:01:250 --> 00:00:02:500\n{A}\n", [(1.25, 2.5, A)]),
    "microseconds": (f"1\n00:00:01,250000 --> 00:00:02,500000\n{A}\n", [(1.25, 2.5, A)]),
    "times with spaces, as translators leave them": (
        f"1\n00: 00: 01, 000 --> 00: 00: 02, 500\n{A}\n", [(1.0, 2.5, A)]),
    "a comment between cues": (
        vtt(*THREE).replace("00:00:03", "NOTE\nlistened to\ntwice\n\n00:00:03", 1), ONE_TWO_THREE),
    "a comment in front": (vtt(*THREE, head="WEBVTT\n\nNOTE by hand"), ONE_TWO_THREE),
    "styles and regions": (
        vtt(*THREE, head="WEBVTT\n\nSTYLE\n::cue(b) { color: red }\n\nREGION\nid:r\nwidth:9%"),
        ONE_TWO_THREE),
    "a header with a title and fields": (
        vtt(*THREE, head="WEBVTT Trip to the coast\nKind: captions\nLanguage: en-GB"),
        ONE_TWO_THREE),
    "two files joined": (
        vtt(*THREE[:2]) + "\n" + vtt(THREE[2]), ONE_TWO_THREE),
    "no blank line behind the header": (
        vtt(*THREE).replace("WEBVTT\n\n", "WEBVTT\n"), ONE_TWO_THREE),
    "names of cues": (
        vtt(*THREE).replace("00:00:03.000", "the coat\n00:00:03.000"), ONE_TWO_THREE),
    "no blank lines": (srt(*THREE, gap="\n"), ONE_TWO_THREE),
    "no blank lines and numbers with gaps": (
        srt(*THREE, gap="\n").replace("\n3\n", "\n7\n"), ONE_TWO_THREE),
    "no numbers": (srt(*THREE, numbers=False), ONE_TWO_THREE),
    "numbers that start at zero": (
        srt(*THREE).replace("3\n00", "2\n00").replace("2\n00:00:03", "1\n00:00:03")
        .replace("1\n00:00:01", "0\n00:00:01"), ONE_TWO_THREE),
    "spaces in blank lines": (srt(*THREE, gap="\n  \n"), ONE_TWO_THREE),
    "a text that is a number": (
        srt((1.0, 2.5, "1969"), (3.0, 4.5, B)), [(1.0, 2.5, "1969"), (3.0, 4.5, B)]),
    "a blank line in a text": (
        srt((1.0, 2.5, "we leave\n\nat noon"), THREE[1]), [(1.0, 2.5, A), (3.0, 4.5, B)]),
    "a cue without text": (
        srt(THREE[0], (2.6, 2.9, ""), *THREE[1:]), ONE_TWO_THREE),
    "an arrow in a text": (
        srt((1.0, 2.5, "north --> south"), THREE[1]),
        [(1.0, 2.5, "north --> south"), (3.0, 4.5, B)]),
    "HTML in a text": (
        srt((1.0, 2.5, '<font face="Arial" size=12><b>we</b> leave</font><br/>at noon'),
            (3.0, 4.5, "<i>bring\na coat</i>"), (5.0, 6.5, "{\\an8}{\\i1}the road\\Nis wet")),
        ONE_TWO_THREE),
    "escaped HTML": (
        srt((1.0, 2.5, "&lt;i&gt;we leave at noon&lt;/i&gt;"),
            (3.0, 4.5, "3 &lt; 4 &amp; 5 &gt; 4"), (5.0, 6.5, "it&#39;s&nbsp;wet")),
        [(1.0, 2.5, A), (3.0, 4.5, "3 < 4 & 5 > 4"), (5.0, 6.5, "it's wet")]),
    "voices and classes": (
        vtt((1.0, 2.5, "<v.first Ida Moor>we leave</v> at noon"),
            (3.0, 4.5, "<c.red>bring</c> a coat"),
            (5.0, 6.5, "&gt;&gt; the road is <lang en>wet</lang>")), ONE_TWO_THREE),
    "entities that are escaped twice": (
        srt((1.0, 2.5, "it&amp;#39;s AT&amp;T &amp;amp; &quot;we&quot;")),
        [(1.0, 2.5, "it's AT&T & \"we\"")]),
    "text behind the times": (
        f"1\n00:00:01,000 --> 00:00:02,500 {A}\n", [(1.0, 2.5, A)]),
    "a cue of a space before a sound": (
        vtt((0.0, 0.5, " "), THREE[0]), [(1.0, 2.5, A)]),
    "cues out of order": (srt(THREE[2], THREE[0], THREE[1]), ONE_TWO_THREE),
}  # fmt: skip


def cues_of(read: Subtitles | None) -> list[tuple[float, float, str]]:
    assert read is not None
    return [(one.start_s, one.stop_s, one.text) for one in read.transcript.segments]


def read(folder: Path, text: str, encoding: str = "utf-8") -> Subtitles:
    path = folder / ("talk.vtt" if text.startswith("WEBVTT") else "talk.srt")
    path.write_bytes(text.encode(encoding))
    return read_subtitles(path)


@pytest.mark.parametrize("case", CASES)
def test_captions_are_read_as_they_are_spoken(case: str, tmp_path: Path) -> None:
    text, cues = CASES[case]
    found = read(tmp_path, text)
    assert cues_of(found) == cues
    assert found.notes == ()


BROKEN: dict[str, tuple[str, list[tuple[float, float, str]], int]] = {
    "times of letters": (
        srt(*THREE).replace(stamp(3.0), "00:xx:03,000"), ONE_THREE, 6),
    "no stop": (srt(*THREE).replace(f"--> {stamp(4.5)}", "-->"), ONE_THREE, 6),
    "another arrow": (srt(*THREE).replace("03,000 -->", "03,000 ->"), ONE_THREE, 5),
    "no times": (srt(*THREE).replace(TWO, "2\nbring a coat"), ONE_THREE, 5),
    "a minute of 75 seconds": (srt(*THREE).replace("00:00:04,500", "00:00:75,500"), ONE_THREE, 6),
    "it stops before it starts": (
        srt(*THREE).replace("00:00:04,500", "00:00:02,000"), ONE_THREE, 6),
    "a letter O": (srt(*THREE).replace("00:00:03,000", "00:00:O3,000"), ONE_THREE, 6),
    "no blank lines": (
        srt(*THREE, gap="\n").replace("00:00:03,000", "oops:03,000"), ONE_THREE, 5),
    "the first cue": (srt(*THREE).replace("00:00:01,000", "soon"), ONE_TWO_THREE[1:], 2),
    "the last cue": (srt(*THREE).replace("00:00:05,000", "late"), ONE_TWO_THREE[:2], 10),
    "in WebVTT": (vtt(*THREE).replace("00:00:03.000", "0:0:"), ONE_THREE, 6),
    "text without times in WebVTT": (
        vtt(*THREE).replace("00:00:03.000 --> 00:00:04.500\n", ""), ONE_THREE, 6),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_cue_is_left_out_and_told_with_its_line(case: str, tmp_path: Path) -> None:
    text, cues, line = BROKEN[case]
    found = read(tmp_path, text)
    assert cues_of(found) == cues
    (note,) = found.notes
    assert f", line {line}: left out, " in note and note.startswith("talk.")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be", "utf-16-le", "cp1252"])
def test_captions_are_read_in_other_encodings(encoding: str, tmp_path: Path) -> None:
    found = read(tmp_path, srt((1.0, 2.5, "Zoë’s café"), (3.0, 4.5, B)), encoding)
    assert cues_of(found) == [(1.0, 2.5, "Zoë's café"), (3.0, 4.5, B)]


def test_a_file_without_a_good_cue_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TranscribeError, match=r"talk\.srt, line 2: it stops before it starts"):
        read(tmp_path, srt((5.0, 2.0, A)))


def labels(*rows: tuple[float, float, str], mark: str = "\t") -> str:
    return "".join(f"{a:.6f}{mark}{b:.6f}{mark}{text}\n" for a, b, text in rows)


LABELS: dict[str, tuple[str, list[tuple[float, float, str]], int]] = {
    "a label track": (labels(*THREE), ONE_TWO_THREE, 0),
    "with Windows line ends and blank lines": (
        labels(*THREE).replace("\n", "\r\n") + "\r\n\r\n", ONE_TWO_THREE, 0),
    "with decimal commas": (labels(*THREE).replace(".", ","), ONE_TWO_THREE, 0),
    "with frequencies": (
        labels(*THREE).replace("\n", "\n\\\t100.0\t2000.5\n"), ONE_TWO_THREE, 0),
    "with spaces for tabs": (labels(*THREE, mark="    "), ONE_TWO_THREE, 0),
    "with whole seconds": (f"1\t2.5\t{A}\n3\t4.5\t{B}\n5\t6.5\t{C}", ONE_TWO_THREE, 0),
    "with a label without text": (labels(THREE[0], (2.6, 2.9, ""), *THREE[1:]), ONE_TWO_THREE, 0),
    "with two columns in one line": (
        labels(THREE[0], *THREE[1:]).replace("noon\n", "noon\n2.600000\t2.900000\n"),
        ONE_TWO_THREE, 0),
    "with a point": (labels(THREE[0], (3.0, 3.0, "click"), THREE[2]), ONE_THREE, 1),
    "with a label that stops before it starts": (
        labels(THREE[0], (4.5, 3.0, B), THREE[2]), ONE_THREE, 1),
    "with a broken line": (labels(*THREE).replace("3.000000", "x"), ONE_THREE, 1),
    "out of order": (labels(*THREE[::-1]), ONE_TWO_THREE, 0),
    "from before the start": (labels((-0.1, 1.0, A)), [(0.0, 1.0, A)], 0),
    "with tags and tabs in a text": (
        labels((1.0, 2.5, "<i>we leave</i>\tat noon")), [(1.0, 2.5, A)], 0),
}  # fmt: skip


@pytest.mark.parametrize("case", LABELS)
def test_labels_of_audacity_are_read(case: str) -> None:
    text, cues, left_out = LABELS[case]
    found = read_labels("talk.txt", text.replace("\r\n", "\n"))
    assert cues_of(found) == cues
    assert found is not None and len(found.notes) == left_out


@pytest.mark.parametrize(
    "text",
    ["", "We leave at noon.", "1969 1970 were good years", "3 4 five\nsix", "1.\t2.\tthree",
     "10 20 30\n11 21 31", "Chapter 1\n1.5 2.5 is a ratio\nand more\nand more"],
)  # fmt: skip
def test_other_texts_are_no_labels(text: str) -> None:
    assert read_labels("talk.txt", text) is None
