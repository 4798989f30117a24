"""The web studio. There is no page yet, so this says what to run instead."""

from __future__ import annotations

import argparse
import sys

INSTEAD = """\
The page of the studio is not built yet. The command line speaks already:

    .venv/bin/testudo speak "Good evening, and welcome." --voice clara --out hello.wav
    .venv/bin/testudo voices            the names there are
    .venv/bin/testudo --help            everything else
"""


def main() -> None:
    """Refuse arguments, which nothing would heed, and say what works."""
    argparse.ArgumentParser(prog="app.py", description=INSTEAD.splitlines()[0]).parse_args()
    sys.stdout.write(INSTEAD)


if __name__ == "__main__":
    main()
