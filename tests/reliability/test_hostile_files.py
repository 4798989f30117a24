"""Sound, weights, archives and tags of people who mean harm; -m soak tries a thousand sounds."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import mutagen
import pytest
from docx import Document
from mutagen.id3 import COMM, TIT2, TPE1, USLT
from openpyxl import Workbook

from audio.io import write_clip
from campaigns import hostile_audio, hostile_weights
from campaigns.figures import peak_mb
from campaigns.processes import call
from cli.main import main
from core.errors import CodedError
from core.tables.reader import read_tables
from studio.app.studio import Studio
from studio.schemas.take_metadata import TakeMetadata
from studio.synthesis.audio_metadata import write_metadata
from support.studio_fixtures import tone
from training.gold.transcripts import read_transcript
from webui.tools.clip_editor import clip_metadata_html, open_uploaded_clip

SOUND_KINDS, SOUND_FILES = 42, 1_000
WEIGHT_FILES = 60
MAX_ARCHIVE_MB = 64
ESCAPE = "\x1b]0;x\x07\x9b31m\u202egnp\u2066\u200b"
MARKUP = "<script>window.robbed=1</script><img src=x onerror=alert(1)>"


def test_hostile_sounds_are_clean_or_refused(tmp_path: Path) -> None:
    found = hostile_audio.read_all(tmp_path, 1)
    assert found.files >= SOUND_KINDS and found.peak_mb < hostile_audio.MAX_MB


@pytest.mark.soak
@pytest.mark.timeout(1_200)
def test_a_thousand_hostile_sounds_are_clean_or_refused(tmp_path: Path) -> None:
    found = hostile_audio.read_all(tmp_path, SOUND_FILES // len(hostile_audio.KINDS) + 1)
    assert found.files >= SOUND_FILES and found.peak_mb < hostile_audio.MAX_MB


def test_hostile_weights_run_nothing_and_take_no_memory(tmp_path: Path) -> None:
    found = hostile_weights.load_all(tmp_path)
    assert found.files >= WEIGHT_FILES and found.peak_mb < hostile_weights.MAX_MB


def zipped(entries: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return stream.getvalue()


def with_entries(archive: bytes, count: int) -> bytes:
    """Repeat the directory entry of an archive of one file."""
    start, end = archive.index(b"PK\x01\x02"), archive.index(b"PK\x05\x06")
    return archive[:start] + archive[start:end] * count + archive[end:]


def office_file(suffix: str, folder: Path) -> dict[str, bytes]:
    """The entries of a valid document."""
    path = folder / f"valid{suffix}"
    if suffix == ".xlsx":
        book = Workbook()
        book.active.append(["a.wav", "Good evening."])
        book.save(path)
    else:
        document = Document()
        document.add_paragraph("Anna: Good evening.")
        document.save(str(path))
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def hostile_archives(suffix: str, folder: Path) -> dict[str, bytes]:
    entries = office_file(suffix, folder)
    main_part = "xl/worksheets/sheet1.xml" if suffix == ".xlsx" else "word/document.xml"
    laughs = b'<!DOCTYPE x [<!ENTITY a "ha">%s]><x>&i;</x>' % b"".join(
        b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(8)
    )
    outside = b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>&a;</x>'
    return {
        "bomb": zipped({**entries, main_part: b"<a>" * 20_000_000}),
        "bomb beside": zipped({**entries, "x/y.xml": bytes(60_000_000)}),
        "laughs": zipped({**entries, main_part: laughs}),
        "outside": zipped({**entries, main_part: outside}),
        "many entries": with_entries(zipped({"a": b""}, zipfile.ZIP_STORED), 100_000),
        "slip": zipped({**entries, "../../../evil.txt": b"x", "/etc/evil": b"x"}),
        "empty": zipped({}),
        "nested": zipped({"a.zip": zipped(entries)}),
        "encrypted": zipped(entries).replace(b"PK\x03\x04\x14\0\0\0", b"PK\x03\x04\x14\0\1\0"),
    }


def _read_archives(suffix: str, folder: Path) -> int:
    made = hostile_archives(suffix, folder)
    read: Callable[[Path], object] = read_tables if suffix == ".xlsx" else read_transcript
    (folder / f"warm{suffix}").write_bytes(zipped(office_file(suffix, folder)))
    assert read(folder / f"warm{suffix}")
    before = peak_mb()
    for name, content in made.items():
        path = folder / f"a{suffix}"
        path.write_bytes(content)
        try:
            found = str(read(path))
            assert "root:" not in found, name
        except CodedError as refusal:
            assert str(refusal) and "root:" not in str(refusal), name
    return peak_mb() - before


@pytest.mark.parametrize("suffix", [".xlsx", ".docx"])
def test_hostile_archives_take_no_memory_and_leave_nothing(suffix: str, tmp_path: Path) -> None:
    inner = tmp_path / "one" / "two" / "three"
    inner.mkdir(parents=True)
    assert call(_read_archives, suffix, inner) < MAX_ARCHIVE_MB
    assert [path.name for path in tmp_path.iterdir()] == ["one"]
    assert [path.suffix for path in inner.iterdir()] == [suffix] * 3


@pytest.mark.parametrize("suffix", [".wav", ".mp3", ".flac", ".ogg"])
def test_hostile_tags_are_escaped_in_the_terminal_and_on_the_page(
    suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TESTUDO_ROOT", str(tmp_path))
    path = tmp_path / "results" / "alice" / f"00001-x{suffix}"
    path.parent.mkdir(parents=True)
    write_clip(path, tone())
    text = f"{ESCAPE}{MARKUP}"
    record = TakeMetadata(
        text=text, voice=text, engine="tortoise", bundle=text, weights_id=text, seed=1,
        options={"temperature": 0.8}, delivery={}, warnings=(text,), created=text,
    )  # fmt: skip
    write_metadata(path, record)
    _add_foreign_tags(path, text)
    for arguments in (("read", str(path)), ("history", "list"), ("history", "show", path.name)):
        main([*arguments])
        printed = "".join(capsys.readouterr())
        assert not set(printed) & set("\x1b\x07\x9b\u202e\u2066\u200b"), arguments
    html = clip_metadata_html(open_uploaded_clip(Studio.open(tmp_path), path))
    assert "<script" not in html
    assert "<img" not in html
    if suffix in (".flac", ".ogg"):  # in the others the lyrics of the other program are read
        assert "&lt;script" in html


def _add_foreign_tags(path: Path, text: str) -> None:
    """Tags that other programs write: title, artist, comment, lyrics."""
    file = mutagen.File(path)
    if file.tags is None:
        file.add_tags()
    if path.suffix in (".wav", ".mp3"):
        for frame in (TIT2(text=text), TPE1(text=text), COMM(text=text, desc="x", lang="eng")):
            file.tags.add(frame)
        file.tags.add(USLT(text=text, desc="other", lang="deu"))
    else:
        for name in ("title", "artist", "comment", "description"):
            file.tags[name] = text
    file.save()
