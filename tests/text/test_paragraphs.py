"""Paragraphs: wrapped lines are joined; blank lines, headings, lists and speakers separate."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from text.paragraphs import split_paragraphs

WRAPPED = {
    "two lines": "The lane ran down to\nthe harbor and stopped there.",
    "three lines": "A man who had sold\nnets all his life told us\nthat the boats were gone.",
    "carriage returns": "They rowed until the oars\r\nwere worn and the\r\nmoon had set.",
    "old line ends": "They rowed until the oars\rwere worn.",
    "a name at the start": (
        "In the first days of that year the mayor and his clerk sat with\n"
        "Oda Lind in the back room of the inn, and each of them drank more\n"
        "than he could pay for."
    ),
    "a sentence that ends at a line end": (
        "The road to the north had been closed since the first snow came.\n"
        "Nobody minded, since the shops were full and the fires were warm\n"
        "and there was nowhere to go."
    ),
    "quoted mail": "> He wrote that the bridge\n> had fallen into the river.",
    "indented": "   The road was long\n   and the night was cold.",
    "a comma at the line end": "Over the hill, past the mill,\nand along the brook she ran.",
    "a number at the start": (
        "The committee met again in the first week of the following May and\n"
        "12 of its members voted for the new bridge across the river, which\n"
        "had been planned for years."
    ),
}


@pytest.mark.parametrize("case", WRAPPED)
def test_wrapped_lines_are_one_paragraph(case: str) -> None:
    text = WRAPPED[case]
    (paragraph,) = split_paragraphs(text)
    assert paragraph.text == " ".join(text.replace("> ", "").split())


def test_a_word_that_was_hyphenated_at_a_line_end_is_whole_again() -> None:
    (paragraph,) = split_paragraphs("They saw the moun-\ntain from the well-\nknown road.")
    assert paragraph.text == "They saw the mountain from the well-known road."


SEPARATE = {
    "blank line": ("It rained.\n\nThen it stopped.", "It rained. ¶ Then it stopped."),
    "blank line with spaces": ("It rained.\n \t \nThen.", "It rained. ¶ Then."),
    "no mark": ("Dear Ms. Orr\n\nYour hat is here.", "Dear Ms. Orr ¶ Your hat is here."),
    "form feed": ("It rained.\fThen.", "It rained. ¶ Then."),
    "paragraph separator": ("It rained.\u2029Then.", "It rained. ¶ Then."),
    "chapter": (
        "He left.\n\nChapter 2\n\nShe came back.",
        "He left. § Chapter 2 ¶ She came back.",
    ),
    "chapter in one block": (
        "Chapter Nine: The Well\nThe well was dry.",
        "Chapter Nine: The Well ¶ The well was dry.",
    ),
    "hash heading": ("He left.\n## The Well\nIt was dry.", "He left. ¶ The Well ¶ It was dry."),
    "underlined heading": ("The Well\n========\nIt was dry.", "The Well ¶ It was dry."),
    "capitals": ("THE WELL\nIt was dry.", "THE WELL ¶ It was dry."),
    "prologue": ("Prologue\n\nIt was dry.", "Prologue ¶ It was dry."),
    "stars": ("He left.\n\n***\n\nShe came.", "He left. § She came."),
    "spaced stars": ("He left.\n* * *\nShe came.", "He left. § She came."),
    "rule": ("He left.\n\n-----\n\nShe came.", "He left. § She came."),
    "asterism": ("He left.\n\n⁂\n\nShe came.", "He left. § She came."),
    "wider gap": ("One.\n\nTwo.\n\n\nThree.", "One. ¶ Two. § Three."),
    "wide gaps only": ("One.\n\n\nTwo.\n\n\nThree.", "One. ¶ Two. ¶ Three."),
    "dashes": ("- two pears\n- one plum", "two pears . one plum"),
    "stars as bullets": ("* two pears\n* one plum", "two pears . one plum"),
    "bullets": ("• Two pears\n• One plum", "Two pears . One plum"),
    "check boxes": ("- [x] two pears\n- [ ] one plum", "two pears . one plum"),
    "numbers": ("1. Boil it\n2. Drain it", "1. Boil it . 2. Drain it"),
    "numbers in brackets": ("1) Boil it\n2) Drain it", "1) Boil it . 2) Drain it"),
    "letters": ("a) Boil it\nb) Drain it", "a) Boil it . b) Drain it"),
    "items over two lines": (
        "- two pears that\n  are ripe\n- one plum",
        "two pears that are ripe . one plum",
    ),
    "a list after a line": ("You need:\n- two pears\n- salt", "You need: ¶ two pears . salt"),
    "speakers": ("Nora: Come in.\nBram: I cannot.", "Nora: Come in. ¶ Bram: I cannot."),
    "speakers of a play": ("NORA. Come in.\nBRAM. No.", "NORA. Come in. ¶ BRAM. No."),
    "question and answer": ("Q: Is it so?\nA: It is.", "Q: Is it so? ¶ A: It is."),
    "quotes": ('"Come in!"\n"I cannot."', '"Come in!" ¶ "I cannot."'),
    "curly quotes": ("“Come in!” said she.\n“No.”", "“Come in!” said she. ¶ “No.”"),
    "dialogue with dashes": ("— Come in!\n— I cannot.", "Come in! . I cannot."),
    "indented paragraphs": (
        "The day was long.\n    The night was short.",
        "The day was long. ¶ The night was short.",
    ),
    "a short line": (
        "The road to the north had been closed since the first snow came,\nso nobody left.\n"
        "In spring the post came back with letters from three months ago.",
        "The road to the north had been closed since the first snow came, so nobody left. ¶ "
        "In spring the post came back with letters from three months ago.",
    ),
    "a title without a mark": (
        "The Orchard\nNora woke early and walked along the river until the sun was up.",
        "The Orchard ¶ Nora woke early and walked along the river until the sun was up.",
    ),
    "lines that were never wrapped": (f"{'word ' * 30}end.\nShe left.",
                                      f"{'word ' * 30}end. ¶ She left."),
    "verse": ("Roses in the rain\nThyme upon the hill", "Roses in the rain, Thyme upon the hill"),
    "verse with marks": ("Roses are red,\nViolets blue;", "Roses are red, Violets blue;"),
}  # fmt: skip
SIGNS = {"paragraph": " ¶ ", "section": " § ", "sentence": " . "}


@pytest.mark.parametrize("case", SEPARATE)
def test_what_separates_paragraphs_is_heard(case: str) -> None:
    text, expected = SEPARATE[case]
    found = split_paragraphs(text)
    shown = "".join(one.text + SIGNS[one.pause] for one in found[:-1]) + found[-1].text
    assert shown == expected


def test_the_line_of_a_paragraph_is_told() -> None:
    found = split_paragraphs("One\nmore.\n\n\nTwo.\n\n- a\n- b")
    assert [paragraph.line for paragraph in found] == [0, 4, 6, 7]


def test_a_minus_is_no_bullet() -> None:
    (paragraph,) = split_paragraphs("- 5 degrees were measured.")
    assert paragraph.text == "- 5 degrees were measured."


@given(st.text(st.sampled_from('ab A.\n\r-*#>1:"“ \t—')))
@settings(max_examples=100, deadline=None)
def test_no_letter_is_lost(text: str) -> None:
    joined = "".join(paragraph.text for paragraph in split_paragraphs(text))
    assert [c for c in joined if c.isalpha()] == [c for c in text if c.isalpha()]


@pytest.mark.parametrize("text", ["5 > 3", "<b>bold</b> word", "A -> B", ">5 kg", "x >= y"])
def test_a_greater_than_sign_that_quotes_no_line_is_kept(text: str) -> None:
    assert [paragraph.text for paragraph in split_paragraphs(text)] == [text]
