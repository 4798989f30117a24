"""Office files, which are zip archives of XML: checked before a library unpacks them."""

from __future__ import annotations

import io
import struct
import zlib
from zipfile import BadZipFile, ZipFile

MAX_ENTRIES = 10_000
MAX_RATIO = 100  # unpacked to packed bytes; XML of real files reaches 50
MAX_UNCHECKED_BYTES = 10_000_000  # unpacked; less is read whatever the ratio is
DAMAGED_PACKAGE_ERRORS = (
    *(BadZipFile, zlib.error, EOFError, RuntimeError, SyntaxError, ValueError, OSError),
    *(struct.error, LookupError, TypeError, AttributeError, AssertionError),
)
"""What zipfile and the libraries that read Office files raise for damaged ones."""
_PROLOG_BYTES = 4_096
_ENTRY_MAGIC = b"PK\x01\x02"


def check_package(data: bytes, max_bytes: int) -> None:
    """Raise ValueError where the directory of an archive promises more than a document has.

    max_bytes: unpacked. Raises BadZipFile for what is no archive.
    """
    if data.count(_ENTRY_MAGIC) > MAX_ENTRIES:
        raise ValueError(f"it has more than {MAX_ENTRIES:,} entries")
    with ZipFile(io.BytesIO(data)) as archive:
        entries = archive.infolist()
        _refuse_document_types(archive)
    size = sum(entry.file_size for entry in entries)
    if size > max_bytes:
        raise ValueError(f"it unpacks to {size:,} bytes; at most {max_bytes:,} are read")
    if size > MAX_UNCHECKED_BYTES and size > MAX_RATIO * len(data):
        raise ValueError(f"its {len(data):,} bytes unpack to {size:,}, as no document does")
    if len({entry.filename for entry in entries}) < len(entries):
        raise ValueError("it has two entries of one name")


def _refuse_document_types(archive: ZipFile) -> None:
    """Raise ValueError for XML that defines entities, which no program writes into documents."""
    for entry in archive.infolist():
        if entry.filename.lower().endswith((".xml", ".rels")):
            with archive.open(entry) as part:
                start = part.read(_PROLOG_BYTES).replace(b"\0", b"")  # of UTF-16
            if b"<!DOCTYPE" in start or b"<!ENTITY" in start:
                raise ValueError(f"{entry.filename[:80]!r} has a document type")
