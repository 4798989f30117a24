"""Names of people who mean harm, to the library, over HTTP and on the command line."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

from campaigns.figures import Figures
from campaigns.processes import call
from campaigns.served import open_client, write_served_studio
from cli.main import main
from core.errors import AppError
from core.paths import ProjectPaths
from studio.voices.trash import get_new_voice_folder, rename_voice
from studio.voices.uploads import create_upload_dir

Snapshot = dict[str, tuple[int, int]]
PARTS = (
    *("..", "../x", "../../x", "/x", "/etc/passwd", "//x", "x/../../y", "\\\\x", "..\\x", "C:\\x"),
    *("C:x", "~", "~root", "%2e%2e", "%2e%2e%2fx", "..%2f", "%00", "..;/x", "....//", "./x", "."),
    *("con", "CON", "nul", "NUL.txt", "aux", "com1", "lpt9", "prn.wav", "con.", "a.", "a ", " a"),
    *("-rf", "--help", "-", "--out=/etc/x", "$(id)", "`id`", "${HOME}", "$HOME", "; id", "| id"),
    *("&& id", "a\nb", "a\r\nb", "a\tb", "a\0b", "\0", "a\x1b[31mb", "\x1b]0;x\x07", "a\x7fb"),
    *("<script>alert(1)</script>", "<img src=x onerror=1>", "{{7*7}}", "{0}", "%s%n", "'\"><b>"),
    *(
        "' OR 1=1 --",
        "); drop table files",
        "a\u202eb",
        "a\u200bb",
        "\ufeffa",
        "a\u2066b",
        "\u00ad",
    ),
    *("e\u0301" * 9, "Z\u0300\u0301\u0302" * 20, "é", "ALICE", "Alice", "alicE", "ALİCE", "ﬀ", "ß"),
    *("🎤", "👩‍🎤", "🏳️‍🌈", "猫", "نص", "עברית", "a" * 200, "a" * 300, "a" * 5_000, "猫" * 90),
    *("🎤" * 60, "", " ", "\u3000", "\t", "*", "?", "[a]", "a:b", "a|b", "a+b", "a#1", "random"),
    *("random#7", "random#-1", ".hidden", ".git", ".bin", "a.part", ".a.1.part", "alice.yaml"),
    *("\ud800", "a\udcffb", "\U000e0001a", "．．／", "‥", "file:///etc/passwd", "http://x/y"),
    *("\\\\?\\C:\\x", "\\\\server\\share", "a/b", "a\\b", "state", "voices", "consent.yaml"),
)
SUFFIXES = ("", ".wav", "/one.wav")


def names() -> list[str]:
    """All names, each once."""
    made = [part + suffix for part in PARTS for suffix in SUFFIXES]
    return list(dict.fromkeys(made))


def try_names(folder: Path, every: list[str]) -> Figures:
    """Use every name everywhere; nothing may appear outside of the root."""
    return Figures(**call(_try_names, folder, every))


def _try_names(folder: Path, every: list[str]) -> dict[str, int]:
    root = write_served_studio(folder / "outer" / "root")
    outside, top = _snapshot(folder, root), {path.name for path in root.iterdir()}
    requests = 0
    for name in every:
        _use_in_library(ProjectPaths.from_root(root), name)
    with open_client(root) as (client, studio):
        for name in every:
            told = name.encode("utf-8", "surrogatepass")
            at = quote(told, safe="")
            for method, path, body in _requests(at, name):
                answer = client.request(method, path, json=body) if body else None
                answer = answer or client.request(method, path)
                was_refused = answer.status_code < 500 or '"opening"' in answer.text  # no page
                assert was_refused, (name, method, path, answer.text)
                assert "Traceback" not in answer.text, (name, path)
                requests += 1
            if client.get("/api/voices/bob").status_code == 404:  # it was renamed
                voices = {voice["name"] for voice in client.get("/api/voices").json()["voices"]}
                (renamed,) = voices - {"alice"}
                rename_voice(studio.layout, renamed, "bob")
        for job in studio.jobs(limit=500):
            studio.cancel(job.id)
    _use_on_command_line(root, every[::4])
    assert _snapshot(folder, root) == outside, "something outside of the root changed"
    assert {path.name for path in root.iterdir()} <= top | {"state", "results"}
    return {"names": len(every), "requests": requests}


def _requests(at: str, name: str) -> Iterator[tuple[str, str, dict[str, str] | None]]:
    if "\ud800" <= name <= "\udfff" or any("\ud800" <= letter <= "\udfff" for letter in name):
        yield "GET", f"/api/voices/{at}", None
        return
    yield "POST", "/api/jobs/speak", {"text": "Hi.", "voice": name}
    yield "POST", "/v1/audio/speech", {"input": "", "voice": name, "model": name}
    yield "PATCH", "/api/voices/bob", {"name": name}
    yield "PUT", f"/api/voices/{at}/consent", {"basis": "own", "speaker": name}
    yield "GET", f"/api/files/voices/{at}/one.wav", None
    yield "GET", f"/api/models/{at}", None
    yield "GET", f"/api/datasets/{at}", None


def _use_in_library(layout: ProjectPaths, name: str) -> None:
    places: tuple[Callable[[str], Path], ...] = (
        *(layout.voice, layout.voice_results, layout.model, layout.dataset, layout.encoder_run),
        *(lambda given: layout.run("a", given), lambda given: get_new_voice_folder(layout, given)),
        lambda given: create_upload_dir(layout, given, [f"{given}.wav"]),
    )
    for place in places:
        try:
            found = place(name)
        except AppError as refusal:
            assert str(refusal).isprintable() or "\n" not in str(refusal), name
            continue
        assert found.is_relative_to(layout.root) and ".." not in found.parts, name
        assert found.parent.resolve().is_relative_to(layout.root.resolve()), name


def _use_on_command_line(root: Path, some: list[str]) -> None:
    os.environ["TESTUDO_ROOT"] = str(root)
    clip = str(root / "voices" / "alice" / "one.wav")
    for name in some:
        for arguments in (("voices", "import", name, clip), ("voices", "consent", name)):
            told = io.StringIO()
            with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
                code = main(arguments)
            assert code in (0, 1, 2), (name, code)
            assert "Traceback" not in told.getvalue(), name
            assert "\x1b" not in told.getvalue() and "\u202e" not in told.getvalue(), name


def _snapshot(folder: Path, root: Path) -> Snapshot:
    return {
        str(path): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path != root and not path.is_relative_to(root) and path not in root.parents
    }
