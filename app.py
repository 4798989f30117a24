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

from api.auth import API_KEY_ENV_VAR, LOGIN_ENV_VAR
from api.server import ServerOptions, serve
from cli.options import Parser, add_option_flags, collect_given_options
from cli.start_flags import add_start_flags, replacement_notes
from core.errors import AppError, translate_write_errors
from core.network_address import parse_address
from core.paths import ProjectPaths
from studio.app.studio import Studio
from studio.diagnostics.system_info import format_device_lines, probe_torch
from studio.schemas.settings import list_setting_fields

if TYPE_CHECKING:
    from fastapi import FastAPI

ENDED, BUG, REFUSED = 0, 1, 2  # exit codes


def main(arguments: Sequence[str] | None = None) -> int:
    """Open the studio in the browser until it is ended; a refusal is one sentence."""
    try:
        run(sys.argv[1:] if arguments is None else arguments)
    except AppError as refusal:
        sys.stderr.write(f"app.py: {refusal}\n")
        return REFUSED
    except KeyboardInterrupt:
        pass  # the usual way to end it
    return ENDED


def run(arguments: Sequence[str]) -> None:
    """Read the command line, then serve."""
    knobs = [item.field for item in list_setting_fields()]
    parser = Parser(prog="app.py", description="Open the studio in a browser.", allow_abbrev=False)
    parser.add_argument(
        "--login",
        metavar="USER:PASSWORD",
        default="",
        help=f"ask for this login; {LOGIN_ENV_VAR} keeps it from other programs, and programs may "
        f"show {API_KEY_ENV_VAR} instead",
    )
    parser.add_argument(
        "--allow-host",
        metavar="NAME",
        action="append",
        default=[],
        help="a further name that this studio goes by, as behind a proxy",
    )
    parser.add_argument("--no-browser", action="store_true", help="open no browser")
    parser.add_argument(
        "--list-devices", action="store_true", help="print what --device takes here, and exit"
    )
    add_option_flags(parser, "settings, which win over settings.yaml", knobs)
    add_start_flags(parser)
    parsed = parser.parse_all(arguments)
    if parsed.list_devices:
        sys.stdout.writelines(f"{line}\n" for line in format_device_lines(probe_torch()))
        return
    sys.stderr.writelines(f"app.py: {note}\n" for note in replacement_notes(parsed.replaced))
    studio = Studio.open(given=collect_given_options(parsed, knobs))
    serve(
        studio,
        ServerOptions(
            address=parse_address(studio.settings.listen),
            share=studio.settings.share,
            login=parsed.login,
            extra_hosts=tuple(parsed.allow_host),
            open_browser=not parsed.no_browser,
            build_page=lambda path: draw_page(studio, path),
            open_tunnel=open_tunnel,
        ),
    )


def draw_page(studio: Studio, path: str) -> FastAPI:
    """Import Gradio, which takes seconds, and draw the page."""
    keep_to_ourselves(studio.layout)
    from fastapi import FastAPI

    page = FastAPI(openapi_url=None)
    mounted: FastAPI = import_module("webui.app").mount_page(page, studio, path or "/")
    return mounted


def keep_to_ourselves(layout: ProjectPaths) -> None:
    """Let the page's libraries call nobody, and keep what is dropped on the page in our folder."""
    uploads = layout.state / "page"
    with translate_write_errors(uploads):
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
