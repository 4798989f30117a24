"""The web studio: `python app.py [--listen HOST:PORT/PATH] [--share] [--login USER:PASSWORD] …`"""

from __future__ import annotations

import gc
import os
import secrets
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent / "src"))

from api.access import KEY_VARIABLE, LOGIN_VARIABLE
from api.run import Start, serve
from studio.cli_flags import Parser, add_knobs, given
from studio.errors import StudioError, writing_to
from studio.layout import Layout
from studio.serving import parse_address
from studio.settings import fields_of_settings
from studio.studio import Studio

if TYPE_CHECKING:
    from fastapi import FastAPI

ENDED, BUG, REFUSED = 0, 1, 2  # exit codes


def main(arguments: Sequence[str] | None = None) -> int:
    """Open the studio in the browser until it is ended; a refusal is one sentence."""
    try:
        run(sys.argv[1:] if arguments is None else arguments)
    except StudioError as refusal:
        sys.stderr.write(f"app.py: {refusal}\n")
        return REFUSED
    except KeyboardInterrupt:
        pass  # the usual way to end it
    return ENDED


def run(arguments: Sequence[str]) -> None:
    """Read the command line, then serve."""
    knobs = [item.field for item in fields_of_settings()]
    parser = Parser(prog="app.py", description="Open the studio in a browser.", allow_abbrev=False)
    parser.add_argument(
        "--login",
        metavar="USER:PASSWORD",
        default="",
        help=f"ask for this login; {LOGIN_VARIABLE} keeps it from other programs, and programs may "
        f"show {KEY_VARIABLE} instead",
    )
    parser.add_argument(
        "--allow-host",
        metavar="NAME",
        action="append",
        default=[],
        help="a further name that this studio goes by, as behind a proxy",
    )
    parser.add_argument("--no-browser", action="store_true", help="open no browser")
    add_knobs(parser, "settings, which win over settings.yaml", knobs)
    parsed = parser.parse_all(arguments)
    studio = Studio.open(given=given(parsed, knobs))
    serve(
        studio,
        Start(
            address=parse_address(studio.settings.listen),
            share=studio.settings.share,
            login=parsed.login,
            hosts=tuple(parsed.allow_host),
            browser=not parsed.no_browser,
            draw=lambda path: draw_page(studio, path),
            tunnel=open_tunnel,
        ),
    )


def draw_page(studio: Studio, path: str) -> FastAPI:
    """Import Gradio, which takes seconds, and draw the page."""
    keep_to_ourselves(studio.layout)
    from fastapi import FastAPI

    page = FastAPI(openapi_url=None)
    mounted: FastAPI = import_module("webui.app").mount_page(page, studio, path or "/")
    return mounted


def keep_to_ourselves(layout: Layout) -> None:
    """Let the page's libraries call nobody, and keep what is dropped on the page in our folder."""
    uploads = layout.state / "page"
    with writing_to(uploads):
        uploads.mkdir(parents=True, exist_ok=True)
        uploads.chmod(0o700)
    os.environ["GRADIO_TEMP_DIR"] = str(uploads)
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"


def open_tunnel(port: int) -> str:
    """Ask Gradio's servers for a public address that leads to this port."""
    setup = import_module("gradio.networking").setup_tunnel
    return str(setup("127.0.0.1", port, secrets.token_urlsafe(32), None, None))


if __name__ == "__main__":
    try:
        sys.exit(main())
    finally:
        gc.freeze()  # the system takes the memory back faster than Python would clean it up
