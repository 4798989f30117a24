"""Written English to speakable words."""


def normalize(text: str) -> str:
    """The text with blanks collapsed."""
    return " ".join(text.split())
