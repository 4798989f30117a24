"""The web studio: `python app.py [--listen HOST:PORT/PATH] [--share] [--login USER:PASSWORD] …`"""

from __future__ import annotations

import gc
import os
import secrets
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parent / "src"))

from api.server import ServerOptions, serve
from cli.options import add_command, create_app, run_app
from cli.output import escape_control_characters
from cli.start_flags import StartFlags, format_replaced_flags, list_aliases, take_replaced_flags
from core.errors import AppError, translate_write_errors
from core.network_address import parse_address
from core.paths import ProjectPaths
from core.proxy_settings import normalize_proxy_variables
from studio.app.studio import Studio
from studio.diagnostics.system_info import format_device_lines, probe_torch
from studio.schemas.settings import list_setting_fields

if TYPE_CHECKING:
    from fastapi import FastAPI

ENDED, BUG, REFUSED = 0, 1, 2  # exit codes


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve the studio until it is ended; a refusal is one sentence."""
    prepare_environment()
    try:
        run(sys.argv[1:] if arguments is None else arguments)
    except AppError as refusal:
        sys.stderr.write(f"app.py: {escape_control_characters(str(refusal))}\n")
        return REFUSED
    except KeyboardInterrupt:
        pass  # the usual way to end it
    return ENDED


def prepare_environment() -> None:
    """Correct proxy variables before a library reads them, and say which are ignored."""
    sys.stderr.writelines(f"app.py: {note}\n" for note in normalize_proxy_variables(os.environ))


def run(arguments: Sequence[str]) -> None:
    """Read the command line, then serve."""
    rest, notes = take_replaced_flags(arguments)
    app = create_app("")
    settings = {"settings": [item.field for item in list_setting_fields()]}
    help_text = "Open the studio in a browser. Settings given here win over settings.yaml."
    epilog = format_replaced_flags()
    start = partial(start_studio, notes)
    add_command(app, "app.py", help_text, settings, list_aliases, epilog=epilog)(start)
    run_app(app, "app.py", rest)


def start_studio(notes: Sequence[str], flags: StartFlags, settings: Mapping[str, Any]) -> int:
    """Serve the studio with these flags."""
    if flags.list_devices:
        sys.stdout.writelines(f"{line}\n" for line in format_device_lines(probe_torch()))
        return ENDED
    sys.stderr.writelines(f"app.py: {note}\n" for note in notes)
    given = dict(settings)
    if flags.voice_fixer_use_cuda is not None:
        given["voice_fixer_device"] = "cuda" if flags.voice_fixer_use_cuda else "cpu"
    if str(given.get("bundle", "")).lower().endswith((".pth", ".pt")):
        raise AppError(
            f"{given['bundle']!r} is a checkpoint file. Run `testudo models import FOLDER` and "
            "give the name of the model."
        )
    studio = Studio.open(given=given)
    serve(
        studio,
        ServerOptions(
            address=parse_address(studio.settings.listen),
            share=studio.settings.share,
            login=flags.login,
            extra_hosts=tuple(flags.allow_host or ()),
            trusted_proxies=tuple(flags.trust_proxy or ()),
            open_browser=not flags.no_browser,
            build_page=lambda path: draw_page(studio, path),
            open_tunnel=open_tunnel,
        ),
    )
    return ENDED


def draw_page(studio: Studio, path: str) -> FastAPI:
    """Import Gradio, which takes seconds, and draw the page."""
    keep_to_ourselves(studio.layout)
    from fastapi import FastAPI

    page = FastAPI(openapi_url=None)
    mounted: FastAPI = import_module("webui.app").mount_page(page, studio, path or "/")
    return mounted


def keep_to_ourselves(layout: ProjectPaths) -> None:
    """Disable telemetry of the page's libraries, and keep uploads in the studio's folder."""
    uploads = layout.state / "page"
    with translate_write_errors(uploads):
        uploads.mkdir(parents=True, exist_ok=True)
        uploads.chmod(0o700)
    os.environ["GRADIO_TEMP_DIR"] = str(uploads)
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"


def open_tunnel(port: int) -> str:
    """Request a public address for this port from Gradio's servers."""
    setup = import_module("gradio.networking").setup_tunnel
    return str(setup("127.0.0.1", port, secrets.token_urlsafe(32), None, None))


if __name__ == "__main__":
    try:
        sys.exit(main())
    finally:
        gc.freeze()  # the system takes the memory back faster than Python would clean it up
