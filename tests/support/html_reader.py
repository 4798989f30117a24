"""Reads what the page is sent: every tag with its attributes; a tag left open is a failure."""

from __future__ import annotations

from html.parser import HTMLParser

EVIL = "<script>alert('x')</script>\"&<img src=x onerror=alert(1)>"
VOID = {"input", "img", "br"}


class Reader(HTMLParser):
    """The start tags and the words of a piece of HTML, or of the SVG in it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of every tag of this kind."""
        return [attributes for name, attributes in self.tags if name == tag]
