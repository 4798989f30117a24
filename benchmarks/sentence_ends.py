"""List the sentence ends that the splitter finds in a book, to be read by eye.

python benchmarks/sentence_ends.py FILE [--sample 200] [--seed 1] [--suspect]

Prints one end a line, the end of one sentence and the start of the next, and then the counts.
--suspect lists instead all ends that are most likely false: behind a short word with a capital, a
word with full stops in it, or before a digit or a small letter. Two public-domain books are in the
source package of brotli on the package index (tests/testdata/alice29.txt and lcet10.txt).
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from text.paragraphs import split_paragraphs
from text.sentences import split_sentences

CONTEXT = 45  # characters shown on either side
MAX_SHORT_WORD = 3  # letters


def main() -> None:
    """Read the command line, split the book, print the ends."""
    cli = argparse.ArgumentParser(description=__doc__)
    cli.add_argument("file", type=Path)
    cli.add_argument("--sample", type=int, default=200)
    cli.add_argument("--seed", type=int, default=1)
    cli.add_argument("--suspect", action="store_true")
    parsed = cli.parse_args()
    paragraphs = split_paragraphs(parsed.file.read_text("utf-8", errors="replace"))
    sentences = [split_sentences(paragraph.text) for paragraph in paragraphs]
    ends = [pair for group in sentences for pair in pairwise(group)]
    if parsed.suspect:
        shown = [pair for pair in ends if is_suspect(*pair)]
    else:
        shown = random.Random(parsed.seed).sample(ends, min(parsed.sample, len(ends)))
    for before, after in shown:
        sys.stdout.write(f"{before[-CONTEXT:]:>{CONTEXT}} | {after[:CONTEXT]}\n")
    counts = {"paragraphs": len(paragraphs), "sentences": sum(map(len, sentences))}
    counts |= {"ends inside paragraphs": len(ends), "shown": len(shown)}
    sys.stdout.write(f"{json.dumps(counts)}\n")


def is_suspect(before: str, after: str) -> bool:
    """Return whether an end is of a kind that is often false."""
    word = next(iter_last_words(before), "")
    is_short = len(word) <= MAX_SHORT_WORD and word[:1].isupper()
    return is_short or "." in word or not after.lstrip("\"'`“‘(")[:1].isupper()


def iter_last_words(text: str) -> Iterator[str]:
    """Yield the words of a text from its end, without marks and closing quotes."""
    for word in reversed(text.rstrip(" .!?…\"'”’)]").split()):
        yield word.strip("\"'“‘([")


if __name__ == "__main__":
    main()
