"""What gets installed is pinned, and the repository names no index to install it from."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PINNED = re.compile(
    r"[A-Za-z0-9._-]+(\[[a-z,]+\])?==[0-9][A-Za-z0-9.+!]*( *; *[a-z_]+ *[<>=!]+ *\S+)?"
)
INDEX_HOSTS = ("pypi" + ".org", "pythonhosted" + ".org", "download.pytorch" + ".org")
TEXT = {".py", ".sh", ".bat", ".txt", ".toml", ".md", ".yml", ".yaml", ".cfg", ".ini", ".json", ""}


def requirement_files() -> list[Path]:
    return sorted(ROOT.glob("requirements*.txt"))


def requirements(path: Path) -> list[str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line for raw in lines if (line := raw.split("#")[0].strip())]


def committed_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [path for path in paths if path.suffix in TEXT and path.is_file()]


def test_there_are_requirements_to_install() -> None:
    assert ROOT / "requirements.txt" in requirement_files()
    assert ROOT / "requirements-test.txt" in requirement_files()


@pytest.mark.parametrize("path", requirement_files(), ids=lambda path: path.name)
def test_every_requirement_is_pinned_to_one_version(path: Path) -> None:
    for line in requirements(path):
        is_include = re.fullmatch(r"-r requirements[a-z-]*\.txt", line)
        assert is_include or PINNED.fullmatch(line), f"{path.name}: {line!r}"


def test_a_package_has_the_same_version_in_every_file() -> None:
    versions: dict[str, dict[str, str]] = {}
    for path in requirement_files():
        for line in requirements(path):
            if "==" in line:
                name, _, version = line.partition("==")
                package, _, marker = version.partition(";")
                key = f"{name.lower()} {marker.strip()}"
                versions.setdefault(key, {})[path.name] = package.strip()
    assert {key: found for key, found in versions.items() if len(set(found.values())) > 1} == {}


def test_the_packages_that_share_our_name_are_never_required() -> None:
    names = {
        line.split("=")[0].lower() for path in requirement_files() for line in requirements(path)
    }
    assert not names & {"tortoise-orm", "tortoise-tts", "testudo", "unidecode"}


def test_no_file_names_a_package_index() -> None:
    for path in committed_files():
        text = path.read_text(encoding="utf-8", errors="replace")
        named = [host for host in INDEX_HOSTS if host in text]
        assert not named, f"{path.relative_to(ROOT)} names {named}"
