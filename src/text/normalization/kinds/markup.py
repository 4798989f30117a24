"""Markdown, HTML, character entities, footnote marks, emoticons: only their words are read."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import regex

from text.normalization.rules import Kind, Match, Rule, substitute

_TAGS = (
    "a|abbr|address|article|aside|audio|b|big|blockquote|body|br|break|button|caption|cite|code|"
    "col|dd|del|details|dfn|div|dl|dt|em|emphasis|figcaption|figure|font|footer|form|h[1-6]|head|"
    "header|hr|html|i|iframe|img|input|ins|kbd|label|lang|li|link|main|mark|math|meta|nav|ol|"
    "option|p|phoneme|pre|prosody|q|s|samp|say-as|section|select|small|source|span|speak|strike|"
    "strong|sub|summary|sup|svg|table|tbody|td|textarea|tfoot|th|thead|time|title|tr|tt|u|ul|var|"
    "video|voice|w|wbr"
)
_BLOCK_TAGS = (
    "address|article|aside|blockquote|body|caption|dd|details|div|dl|dt|figcaption|figure|"
    "footer|form|h[1-6]|head|header|hr|html|li|main|nav|ol|option|p|pre|section|summary|table|"
    "tbody|tfoot|thead|title|tr|ul"
)
_MARKDOWN = regex.compile(r"[*_~`#>|\[\]\\]|^ {0,3}(?:[-+•]|\d+[.)]) |^ {0,3}[-=]+\s*$", regex.M)
_TASK = regex.compile(r"\[[ xX]\] ")
_BLOCK_END = "\n\n"
_MAX_LIST_NUMBER_DIGITS = 3  # a longer number at the start of a line is a year, not an item


def _repair_encoding(text: str) -> str:
    """Undo UTF-8 that was read as Latin-1: "donâ€™t" -> "don’t"."""
    if text.isascii():
        return text
    from ftfy import fix_encoding

    return str(fix_encoding(text))


def _unescape(found: Match) -> str:
    """The character of an entity; twice, since texts are escaped twice on some pages."""
    return html.unescape(html.unescape(found[0]))


def _read_markdown(text: str) -> str:
    if not _MARKDOWN.search(text):
        return text
    tokens = _load_markdown().parse(text)
    return "".join(_read_tokens(tokens)).strip()


@lru_cache(maxsize=1)
def _load_markdown() -> Any:  # Any: loaded at the first text with markup
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    return parser.disable(["reference", "html_block", "html_inline", "code", "entity"])


def _read_tokens(tokens: Sequence[Any]) -> Iterator[str]:
    for token, after in zip(tokens, [*tokens[1:], None], strict=True):
        if token.type == "inline":
            yield _TASK.sub("", "".join(map(_read_inline, token.children or [])), count=1)
        elif token.type == "fence":
            info = token.info.strip()  # more than the name of a language is text
            yield (f"{info}\n" if " " in info else "") + token.content + _BLOCK_END
        elif token.type == "list_item_open" and token.info:
            mark = "," if len(token.info) <= _MAX_LIST_NUMBER_DIGITS else token.markup
            yield f"{token.info}{mark} "
        elif token.type in ("th_close", "td_close"):
            yield ", " if after is not None and not after.type.startswith("tr") else ""
        elif token.type in ("paragraph_close", "heading_close", "tr_close"):
            yield _BLOCK_END


def _read_inline(token: Any) -> str:
    if token.type in ("softbreak", "hardbreak"):
        return "\n"
    return str(token.content)  # of an image, its description; "" of what opens or closes


RULES = (
    Rule(
        read=_repair_encoding,
        examples=(("I donâ€™t know", "I don't know"), ("cafÃ© noir", "cafe noir")),
    ),
    substitute(
        r"&(?:amp;)*(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,30});",
        _unescape,
        ("Fish &amp; chips", "Fish and chips"),
        ("It&#39;s &lt; 5", "It's less than five"),
        ("AT&amp;amp;T", "AT and T"),
        ("&pound;3", "three pounds"),
        ("&#x2014; so", "so"),
    ),
    substitute(r"(?s)<!--.*?-->|<(script|style)\b[^>]*>.*?</\1>", " ", ("a<!-- b --> c", "a c")),
    substitute(r"<br\s?/?>", "\n", ("One<br/>two", "One two"), ignore_case=True),
    substitute(
        rf"</?(?:{_BLOCK_TAGS})\b(?:\s[^<>]*)?/?>",
        _BLOCK_END,
        ("<p>One</p> <p>two</p>", "One. two."),
        ignore_case=True,
    ),
    substitute(r"</t[dh]>\s*(?=<t[dh]\b)", ", ", ignore_case=True),
    substitute(
        rf"</?(?:{_TAGS})(?:\s[^<>]*)?/?>",
        "",
        ('<a href="x">Here</a>, <b>now</b>', "Here, now"),
        ignore_case=True,
    ),
    substitute(r"<(\w[\w ]{0,30})>", r"\1", ("Press <Enter> now", "Press Enter now")),
    substitute(
        r"(?<=[\w.,;:!?\"'”’)])\[(?:\^?\d{1,3}|\^\w+|citation needed|note \d+)\]",
        "",
        ("It fell.[12] Then it rose.[3]", "It fell. Then it rose."),
    ),
    substitute(
        r"(?<=[\w.,;!?\"'”’)])[†‡]+|(?<=[a-z][.,]?)\*+(?=[\s.,;]|$)(?<!\*\w[^*]*\*+)",
        "",
        ("The price* is low.", "The price is low."),
        ("So he said.† Then", "So he said. Then"),
    ),
    substitute(r"(?<=[\d)])\s?\*\*\s?(?=[-−]?\d)", "^"),
    substitute(
        r"(?<=[\d)])\s?\*\s?(?=[\d(])",
        " × ",
        ("2*3*4 = 24", "two times three times four equals twenty-four"),
    ),
    substitute(r"(?<=\s)(?:-{1,2}|=)>(?=\s)", "→", ("A -> B", "A to B")),
    substitute(r"(?m)^>(?=\d)", r"\\>", (">5 kg", "greater than five kilograms")),
    substitute(r"==(?=[^\s=])([^=\n]*[^\s=])==", r"\1", ("a ==marked== word", "a marked word")),
    substitute(r"(?m)^[ \t]*[•◦▪▸►‣⁃●○■–—][ \t]+", "- ", ("• one\n• two", "one. two")),
    substitute(r"(?<=\w\])\[[^\[\]]{0,20}\]", "", ("see [the page][1]", "see the page")),
    Rule(
        read=_read_markdown,
        examples=(
            ("# Title\nText", "Title. Text"),
            ("**bold** and _soft_", "bold and soft"),
            ("see [the page](https://example.com)", "see the page"),
            ("- one\n- two", "one. two"),
            ("1. Stir\n2. Bake", "one, Stir. two, Bake"),
            ("| a | b |\n|---|---|\n| c | d |", "a, b. c, d"),
            ("snake_case_name", "snake case name"),
        ),
    ),
    substitute(
        r"(?<!\S)(?:[:;]['’]?-?[)(DPpOo/|3*]+|[xX]D|\^_?\^|<3+|</3|:'\(|¯\\?_\(ツ\)_/¯|"
        r":[a-z0-9_+-]{2,30}:)"
        r"(?=$|[\s.,!?])(?!\s?\d)",
        "",
        ("Well done :-)", "Well done"),
        ("Thanks <3", "Thanks"),
        ("Good :thumbs_up: work", "Good work"),
    ),
)
KIND = Kind(name="markup", rules=RULES)
