from __future__ import annotations

from studio.preview import Preview, PreviewPiece
from studio.requests import Wish, request_of
from studio.studio import Studio
from webui.preview_view import SHOWN, preview_html, preview_of, time_told


def piece(**changes: object) -> PreviewPiece:
    return PreviewPiece(line=1, text="a", said="a", tokens=4, limit=10, **changes)  # type: ignore[arg-type]


def test_pieces_tell_their_tokens_what_is_lost_and_what_is_wrong() -> None:
    shown = Preview(
        pieces=(
            piece(unknown=("☃",), voice="vera"),
            PreviewPiece(line=2, text="{", problem="That is <no> override."),
        ),
        seconds=4.2,
    )
    html = preview_html(shown, None)
    for words in ("4 of 10 tokens", "cannot be said: ☃", "voice vera", "2 pieces, about 4 s"):
        assert words in html
    assert "! Line 2: That is &lt;no&gt; override." in html


def test_a_long_text_shows_its_first_pieces_only() -> None:
    html = preview_html(Preview(pieces=(piece(),) * (SHOWN + 5), seconds=9.0), None)
    assert html.count("<li>") == SHOWN and "and 5 more" in html


def test_the_time_is_told_with_the_stages_that_take_most_of_it() -> None:
    told = time_told({"draft": 90.0, "diffusion": 38.0, "vocode": 2.0})
    assert "about 2 min 10 s" in told and "(drafting 69 %, diffusion 29 %)" in told
    assert "learnt" in time_told(None) and "learnt" in time_told({})


def test_a_request_is_previewed_as_it_would_be_spoken(studio: Studio) -> None:
    wish = Wish(text="One.\nTwo.", voice="nobody", delivery={"delimiter": "\\n"})
    html = preview_of(studio, request_of(studio.settings, wish, studio.layout))
    assert html.count("<li>") == 2 and "no voice" in html
