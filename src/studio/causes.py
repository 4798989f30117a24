"""Why something failed, in words for people: what happened, why, and what to do about it.

    key = cause_of(error)          "no_disk"
    CATALOGUE[key].what_to_do      "Free some space, or choose another results folder in Settings."

Light: errors of torch and of other libraries are told by their names and words, not imported.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from pathlib import Path

from studio.cause_signs import ERRNO_SIGNS, SIGNS
from studio.causes_told import CATALOGUE, Cause
from studio.errors import StudioError, why

__all__ = ["CATALOGUE", "Cause", "cause_named", "cause_of", "details_of", "told"]

REFUSED, CRASHED = "refused", "crashed"


def cause_of(error: BaseException) -> str:
    """Return the key of the catalogue that says why this was raised.

    What an error says by itself comes before what it was raised from. A refusal of no known kind
    is "refused": its own message says what to do. Anything else is "crashed": a mistake of ours.
    """
    links = list(_chain(error))
    for link in links:
        if found := _sign_of(link):
            return found
    return REFUSED if any(isinstance(link, StudioError) for link in links) else CRASHED


def cause_named(key: str) -> Cause:
    """Return a cause by its key; an unknown key, as of a newer version, is a mistake of ours."""
    return CATALOGUE.get(key, CATALOGUE[CRASHED])


def told(error: BaseException) -> str:
    """Say in a sentence or two what happened and what to do; never a trace, never nothing.

    A refusal speaks for itself; of anything else, the catalogue does.
    """
    if isinstance(error, StudioError) and str(error):
        return str(error)
    cause = CATALOGUE[cause_of(error)]
    if isinstance(error, OSError) and error.filename is not None:
        return f"{cause.title}: {Path(str(error.filename)).name}: {why(error)}"
    return f"{cause.title}. {cause.what_to_do}"


def details_of(error: BaseException) -> str:
    """Return what a report should carry: the whole trace, for whoever mends it."""
    return "".join(traceback.format_exception(error))


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield the error, what it was raised from, and so on; a ring ends where it began."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__


def _sign_of(link: BaseException) -> str:
    """Return the cause that one error of a chain gives away, or ""."""
    if isinstance(link, StudioError) and link.cause:
        return link.cause
    names = {kind.__name__ for kind in type(link).__mro__}
    message = str(link)
    for sign in SIGNS:
        if sign.fits(names, message):
            return sign.cause
    return ERRNO_SIGNS.get(link.errno or 0, "") if isinstance(link, OSError) else ""
