"""Pause tags: durations in every notation; other tags are shown, never spoken."""

from __future__ import annotations

import pytest

from text.pauses import MAX_PAUSE_S, Pause, split_at_pauses

TAGS = {
    "[pause:0.8s]": 0.8,
    "[pause:800ms]": 0.8,
    "[pause: 0.8]": 0.8,
    "[Pause 2 seconds]": 2.0,
    "[pause=1,5s]": 1.5,
    "[break:.5s]": 0.5,
    "[silence: 1 sec]": 1.0,
    "[pause:0]": 0.0,
    '<break time="800ms"/>': 0.8,
    "<break time='0.8s' />": 0.8,
    "<BREAK TIME=“1s”/>": 1.0,
    '<break time="+1.2s"></break>': None,
    '<break time="2s"></break>': 2.0,
    "<break time=500ms>": 0.5,
    "<#0.5#>": 0.5,
    "[[slnc 400]]": 0.4,
}


@pytest.mark.parametrize("tag", TAGS)
def test_a_tag_is_a_pause_of_exactly_its_duration(tag: str) -> None:
    found = split_at_pauses(f"One {tag} two.")
    if TAGS[tag] is None:
        assert found.pauses == [] and "no duration" in found.notices[0].message
        return
    assert [part.strip() for part in found.parts] == ["One", "two."]
    assert found.pauses == [Pause(seconds=TAGS[tag])] and found.notices == []


@pytest.mark.parametrize(
    ("tag", "kind"),
    [
        ("[pause]", "paragraph"),
        ("<break/>", "sentence"),
        ('<break strength="x-strong"/>', "section"),
        ('<break strength="weak"/>', "comma"),
        ('<break strength="none"/>', "none"),
    ],
)
def test_a_strength_is_a_kind_of_pause(tag: str, kind: str) -> None:
    assert split_at_pauses(f"One {tag} two.").pauses == [Pause(kind=kind)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "tag",
    [
        '<prosody rate="slow">',
        "<emphasis>",
        '<say-as interpret-as="date">',
        '<phoneme alphabet="ipa" ph="x">',
        '<sub alias="World">',
        '<voice name="Joan">',
        '<audio src="a.mp3"/>',
        '<mark name="here"/>',
        '<amazon:effect name="whispered">',
        '<mstts:express-as style="sad">',
        '<lang xml:lang="fr-FR">',
    ],
)
def test_other_ssml_is_shown_as_not_supported(tag: str) -> None:
    name = tag.strip("<>/").split()[0]
    found = split_at_pauses(f"One\n{tag}two</{name}> three.")
    assert " ".join("".join(found.parts).split()) == "One two three."
    (notice,) = found.notices
    assert notice.line == 1 and tag in notice.message and "not supported" in notice.message


def test_the_frame_of_ssml_is_left_out_silently() -> None:
    found = split_at_pauses('<?xml version="1.0"?><speak version="1.1">Hi.</speak>')
    assert "".join(found.parts).strip() == "Hi." and found.notices == []


def test_paragraph_tags_are_blank_lines() -> None:
    assert split_at_pauses("<p>One.</p><p>Two.</p>").parts == ["\n\nOne.\n\n\n\nTwo.\n\n"]


def test_plain_text_is_left_alone() -> None:
    text = "a < b, <3, <i>so</i>, [laughs], [pausing], breaks <broken>"
    found = split_at_pauses(text)
    assert found.parts == [text] and found.notices == []


def test_a_pause_has_an_upper_limit() -> None:
    found = split_at_pauses("One [pause:1h] two [pause:900s] three.")
    assert found.pauses == [Pause(seconds=MAX_PAUSE_S)]
    assert "no duration" in found.notices[0].message and "longer than" in found.notices[1].message


def test_sentence_tags_separate_words_without_a_pause() -> None:
    paused = split_at_pauses("<s>One.</s><s>Two.</s>")
    assert "".join(paused.parts).split() == ["One.", "Two."] and not paused.pauses
