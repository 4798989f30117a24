"""The files around the program (Docker, notebook, pre-commit, documents) agree with the program."""

from __future__ import annotations

import configparser
import json
import re
import shlex
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from api.auth import API_KEY_ENV_VAR, LOGIN_ENV_VAR
from api.auth_middleware import PUBLIC_PATHS
from api.routes.system import router
from core.network_address import DEFAULT_PORT, parse_address
from core.paths import ROOT_ENV_VAR, ProjectPaths

ROOT = Path(__file__).resolve().parent.parent
TARGETS = ("cpu", "cuda")
FOLDERS = ("voices", "results", "training", "models", "state")
VOICES = ("angus", "clara", "felix", "iris", "martin", "vera")
# Any: plain values of YAML and JSON.


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def loaded(name: str, path: Path) -> ModuleType:
    """A program of the checkout as a module."""
    spec = spec_from_loader(name, SourceFileLoader(name, str(path)))
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look for their module there
    spec.loader.exec_module(module)
    return module


STEPS = loaded("docker_steps", ROOT / ".ci" / "docker-steps")
DOCKERFILE = STEPS.parse(text_of("Dockerfile"))
COMPOSE = yaml.safe_load(text_of("compose.yaml"))
NOTEBOOK = json.loads(text_of("notebook_colab.ipynb"))


def steps(name: str) -> list[Any]:
    """Every instruction of that name."""
    return [
        step
        for stage in DOCKERFILE.stages.values()
        for step in stage.instructions
        if step.name == name
    ]


def is_in_context(path: str) -> bool:
    return bool(STEPS.is_in_context(path, text_of(".dockerignore")))


# Dockerfile


def test_the_dockerfile_has_both_targets_and_builds_the_one_for_cpus_by_itself() -> None:
    assert set(TARGETS) <= set(DOCKERFILE.stages)
    assert list(DOCKERFILE.stages)[-1] == STEPS.DEFAULT_TARGET == "cpu"


def test_the_image_copies_only_what_the_checkout_and_the_build_context_hold() -> None:
    copied = [step for step in steps("COPY") if not STEPS.copied_from(step)]
    sources = [source for step in copied for source in STEPS.copy_parts(step)[0]]
    assert {"app.py", "src", "voices", "models/starter", "models/starter-sv2tts"} <= set(sources)
    for source in sources:
        files = list(STEPS.context_files(ROOT / source, text_of(".dockerignore")))
        assert files, f"{source} is not in the build context"


def test_the_image_holds_every_file_of_the_program_and_of_the_shipped_voices() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "src", "models", "voices"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    assert [name for name in listed.stdout.splitlines() if not is_in_context(name)] == []
    assert {f"voices/{voice}/1.flac" for voice in VOICES} <= set(listed.stdout.splitlines())


@pytest.mark.parametrize(
    "private",
    [
        *("voices/my-own/1.wav", "voices/clara/.cache/gpt.safetensors", "results/clara/1.wav"),
        *("training/mine/audio/1.wav", "models/tortoise/gpt.safetensors", "state/journal.sqlite"),
        *("settings.yaml", ".env", ".git/config", ".venv/bin/python", "tests/conftest.py"),
        *("src/api/__pycache__/app.pyc", "src/testudo.egg-info/PKG-INFO"),
    ],
)
def test_nothing_of_the_user_gets_into_the_image(private: str) -> None:
    assert not is_in_context(private)


@pytest.mark.parametrize("target", TARGETS)
def test_the_image_runs_as_a_user_that_is_not_root(target: str) -> None:
    user = DOCKERFILE.last(target, "USER").value
    made = [step.value for step in steps("RUN") if "useradd" in step.value]
    assert user not in ("root", "0") and any(user in step.split() for step in made)


@pytest.mark.parametrize("target", TARGETS)
def test_one_port_is_exposed_listened_on_and_checked(target: str) -> None:
    command = DOCKERFILE.last(target, "CMD").words
    address = parse_address(command[command.index("--listen") + 1])
    health = DOCKERFILE.last(target, "HEALTHCHECK").value
    (port, path) = re.findall(r"http://127\.0\.0\.1:(\d+)(/[\w/]*)", health)[0]
    assert STEPS.exposed_port(DOCKERFILE, target) == port == str(address.port) == str(DEFAULT_PORT)
    assert address.host == "0.0.0.0" and address.path == ""
    assert path == router.url_path_for("read_health") and path in PUBLIC_PATHS


@pytest.mark.parametrize("target", TARGETS)
def test_everything_that_the_studio_writes_is_in_a_volume(target: str) -> None:
    variables = dict(step.value.split("=", 1) for step in steps("ENV"))
    (volume,) = DOCKERFILE.last(target, "VOLUME").words
    layout = ProjectPaths.from_root(Path(variables[ROOT_ENV_VAR]))
    written = [layout.settings_file, *(getattr(layout, name) for name in FOLDERS)]
    assert all(path.is_relative_to(volume) for path in written)
    made = " ".join(step.value for step in steps("RUN"))
    assert all(f'"${ROOT_ENV_VAR}/{name}"' in made for name in FOLDERS)


def test_every_run_step_is_valid_shell_and_can_be_run_without_docker() -> None:
    for step in steps("RUN"):
        checked = subprocess.run(["/bin/sh", "-nc", step.value], capture_output=True, text=True)
        assert checked.returncode == 0, f"Dockerfile:{step.line}: {checked.stderr}"
        programs = set(STEPS.commands_of(step.value))
        if not STEPS.changes_system(step):
            assert not programs & STEPS.SYSTEM_COMMANDS, f"Dockerfile:{step.line}: give {programs}"
            paths = re.findall(r"(?<![\w$\"'}])/\w+", step.value)
            assert not paths, f"Dockerfile:{step.line}: {paths}: name paths by variables"


def test_every_requirements_file_that_is_named_exists() -> None:
    for name in ("Dockerfile", "compose.yaml", ".ci/run", "test.sh", "start.sh", "README.md"):
        named = set(re.findall(r"requirements[\w-]*\.txt", text_of(name)))
        assert [file for file in named if not (ROOT / file).is_file()] == []
    copied = {source for step in steps("COPY") for source in STEPS.copy_parts(step)[0]}
    installed = re.findall(r"-r (\S+\.txt)", " ".join(step.value for step in steps("RUN")))
    assert "requirements.txt" in installed and set(installed) <= copied


def test_build_arguments_reach_the_steps_that_name_them() -> None:
    for stage in DOCKERFILE.stages.values():
        declared = {
            step.value.split("=")[0] for step in stage.instructions if step.name == "ARG"
        } | {
            step.value.split("=")[0]
            for one in DOCKERFILE.chain(stage.name)
            for step in one.instructions
            if step.name == "ENV"
        }
        runs = " ".join(step.value for step in stage.instructions if step.name == "RUN")
        assert set(re.findall(r"\$\{?([A-Z_]+)", runs)) <= declared


# .ci/docker-steps


def test_a_dockerfile_is_read_with_continued_lines_comments_and_stages() -> None:
    file = STEPS.parse(
        "ARG V=1\nFROM image:${V} AS one\n# a comment\nRUN a \\\n    # another\n    && b\n"
        'FROM one AS two\nCMD ["x", "y z"]\nFROM image AS three\nCOPY --from=one /a /a\n'
    )
    assert [step.value for step in file.arguments] == ["V=1"]
    assert [(stage.name, stage.base) for stage in file.stages.values()][1] == ("two", "one")
    (run,) = file.stages["one"].instructions
    assert (run.value, run.line) == ("a && b", 4)
    assert file.last("two", "CMD").words == ["x", "y z"] and file.last("two", "RUN") == run
    assert [stage.name for stage in file.needed("three")] == ["one", "three"]


@pytest.mark.parametrize(
    ("path", "inside"),
    [
        ("a.txt", False),
        ("keep/a.txt", True),
        ("keep/deep/a.txt", True),
        ("keep/x/__pycache__/a.pyc", False),
        ("part/kept/a", True),
        ("part/other/a", False),
        ("keeper/a", False),
    ],
)
def test_the_last_pattern_that_fits_decides_what_is_in_the_context(path: str, inside: bool) -> None:
    ignore = "# comment\n*\n!keep\n!part/kept\n**/__pycache__\n"
    assert STEPS.is_in_context(path, ignore) == inside


def test_steps_move_absolute_paths_below_one_folder(tmp_path: Path) -> None:
    file = STEPS.parse(
        "FROM image AS base\nENV HOME_OF_IT=/data\nENV PATH=/opt/bin:$PATH\nWORKDIR /app\n"
        'ARG WORD=no\nRUN useradd someone\nRUN echo "$WORD" > here && mkdir "$HOME_OF_IT"\n'
        "COPY LICENSE ./\n"
    )
    build = STEPS.Build(file, tmp_path, {"WORD": "yes"})
    build.run("base")
    assert (tmp_path / "app" / "here").read_text() == "yes\n" and (tmp_path / "data").is_dir()
    assert build.environment("base")["PATH"].startswith(f"{tmp_path}/opt/bin:{tmp_path}/bin:")


def test_a_file_outside_the_build_context_cannot_be_copied(tmp_path: Path) -> None:
    file = STEPS.parse("FROM image AS base\nCOPY tests ./\n")
    with pytest.raises(SystemExit, match="the build context holds no tests"):
        STEPS.Build(file, tmp_path, {}).run("base")


# compose.yaml


@pytest.mark.parametrize("name", TARGETS)
def test_a_service_builds_its_target_with_arguments_that_the_dockerfile_knows(name: str) -> None:
    build = COMPOSE["services"][name]["build"]
    known = {step.value.split("=")[0] for step in (*DOCKERFILE.arguments, *steps("ARG"))}
    assert build["target"] == name and set(build["args"]) <= known


@pytest.mark.parametrize("name", TARGETS)
def test_a_service_keeps_every_folder_and_is_reached_from_this_machine_only(name: str) -> None:
    service = COMPOSE["services"][name]
    mounts = dict(volume.split(":") for volume in service["volumes"])
    root = dict(step.value.split("=", 1) for step in steps("ENV"))[ROOT_ENV_VAR]
    assert set(mounts.values()) == {root, *(f"{root}/{folder}" for folder in FOLDERS)}
    for source in mounts:
        is_folder = source.startswith("./") and (ROOT / source).is_dir()
        assert is_folder or source in COMPOSE["volumes"], source
    assert service["ports"] == [f"127.0.0.1:{DEFAULT_PORT}:{DEFAULT_PORT}"]
    assert {LOGIN_ENV_VAR, API_KEY_ENV_VAR} <= set(service["environment"])


def test_only_the_service_for_gpus_asks_for_one() -> None:
    services = COMPOSE["services"]
    (device,) = services["cuda"]["deploy"]["resources"]["reservations"]["devices"]
    assert device["driver"] == "nvidia" and device["capabilities"] == ["gpu"]
    assert "deploy" not in services["cpu"] and services["cuda"]["profiles"] == ["cuda"]


# notebook_colab.ipynb


def source_of(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def code_cells() -> list[dict[str, Any]]:
    return [cell for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]


def shell_lines() -> list[str]:
    """The lines that the notebook hands to a shell, with a value for each {variable}."""
    lines = [line for cell in code_cells() for line in source_of(cell).splitlines()]
    return [re.sub(r"\{[\w.]+\}", "value", line.strip()[1:]) for line in lines if "!" in line[:9]]


def test_the_notebook_is_of_format_4_and_holds_no_output() -> None:
    assert NOTEBOOK["nbformat"] == 4 and NOTEBOOK["nbformat_minor"] >= 5
    assert NOTEBOOK["metadata"]["kernelspec"]["name"] == "python3"
    ids = [cell["id"] for cell in NOTEBOOK["cells"]]
    assert len(set(ids)) == len(ids) and all(re.fullmatch(r"[\w-]{1,64}", id) for id in ids)
    for cell in NOTEBOOK["cells"]:
        assert cell["cell_type"] in ("code", "markdown") and source_of(cell).strip()
    for cell in code_cells():
        assert cell["outputs"] == [] and cell["execution_count"] is None


@pytest.mark.parametrize("cell", code_cells(), ids=lambda cell: cell["id"])
def test_a_cell_of_the_notebook_compiles(cell: dict[str, Any]) -> None:
    python = re.sub(r"^(\s*)[!%].*$", r"\1pass", source_of(cell), flags=re.MULTILINE)
    compile(python, cell["id"], "exec")


def test_the_notebook_clones_installs_and_starts_with_a_public_address_and_a_login() -> None:
    lines = shell_lines()
    order = ("git clone", "./start.sh --no-launch", "app.py --share")
    found = [next(i for i, line in enumerate(lines) if part in line) for part in order]
    assert found == sorted(found)
    assert any(LOGIN_ENV_VAR in source_of(cell) for cell in code_cells())
    for line in lines:
        checked = subprocess.run(["/bin/sh", "-nc", line], capture_output=True, text=True)
        assert checked.returncode == 0, checked.stderr
        local = [word for word in shlex.split(line) if re.match(r"(\./)?[\w-]+\.(sh|py)$", word)]
        assert all((ROOT / word).is_file() for word in local), line


@pytest.mark.parametrize(
    "command",
    [
        shlex.join(DOCKERFILE.last("cpu", "CMD").words),
        *(line for line in shell_lines() if "app.py" in line and "--list" not in line),
    ],
)
def test_the_program_takes_the_flags_that_the_image_and_the_notebook_give(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ROOT_ENV_VAR, str(tmp_path))
    app = loaded("packaged_app", ROOT / "app.py")
    starts: list[Any] = []
    monkeypatch.setattr(app, "serve", lambda studio, start: starts.append(start))
    words = shlex.split(command)
    assert app.main(words[words.index("app.py") + 1 :]) == 0
    assert len(starts) == 1 and not starts[0].open_browser


# pre-commit, editorconfig, issue templates


def test_pre_commit_runs_the_tools_of_the_environment_and_fetches_nothing() -> None:
    path = ROOT / ".pre-commit-config.yaml"
    checked = subprocess.run(
        [sys.executable, "-m", "pre_commit", "validate-config", str(path)], capture_output=True
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    (repo,) = yaml.safe_load(path.read_text(encoding="utf-8"))["repos"]
    assert repo["repo"] == "local"
    assert {hook["language"] for hook in repo["hooks"]} == {"system"}
    commands = [hook["entry"].split() for hook in repo["hooks"]]
    assert {tuple(words[:2]) for words in commands} == {(".venv/bin/python", "-m")}
    called = [" ".join(words[2:4]).partition(" --")[0] for words in commands]
    assert called == ["ruff check", "ruff format", "mypy"]
    pinned = {line.split("==")[0] for line in text_of("requirements-test.txt").splitlines()}
    assert {words[2] for words in commands} | {"pre-commit"} <= pinned


def test_the_editor_and_the_linter_agree() -> None:
    editor = configparser.ConfigParser()
    editor.read_string("[top]\n" + text_of(".editorconfig"))
    (length,) = re.findall(r"^line-length = (\d+)$", text_of("pyproject.toml"), re.MULTILINE)
    assert editor["*.{py,css,js}"]["max_line_length"] == length
    ends = {"*.bat": "crlf", "*.sh": "lf"}
    for pattern, end in ends.items():
        assert f"{pattern} text eol={end}" in text_of(".gitattributes")
    assert editor["*.bat"]["end_of_line"] == "crlf" and editor["*"]["end_of_line"] == "lf"


@pytest.mark.parametrize(
    "path", sorted((ROOT / ".github" / "ISSUE_TEMPLATE").iterdir()), ids=lambda path: path.stem
)
def test_an_issue_template_says_what_it_is_for(path: Path) -> None:
    _, head, body = path.read_text(encoding="utf-8").split("---\n", 2)
    assert {"name", "about"} <= set(yaml.safe_load(head)) and body.strip()


# documents


def test_the_changelog_begins_with_what_is_unreleased_and_has_the_current_version() -> None:
    text = text_of("CHANGELOG.md")
    versions = re.findall(r"^## \[([^\]]+)\]", text, re.MULTILINE)
    (current,) = re.findall(r'^version = "(.+)"$', text_of("pyproject.toml"), re.MULTILINE)
    assert versions[0] == "Unreleased" and current in versions
    kinds = set(re.findall(r"^### (.+)$", text, re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def documents() -> list[Path]:
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
    folders = ("results", "training", "voices", "models/starter", "models/starter-sv2tts")
    return sorted([*found, *(ROOT / folder / "README.md" for folder in folders)])


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_the_links_of_a_document_lead_somewhere(path: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8"))
    local = [link.partition("#")[0] for link in links if "://" not in link]
    assert [link for link in local if link and not (path.parent / link).exists()] == []


def test_the_index_of_the_documents_names_each_of_them() -> None:
    index = text_of("docs/README.md")
    others = [path.name for path in (ROOT / "docs").glob("*.md") if path.name != "README.md"]
    assert [name for name in others if f"({name})" not in index] == []


def test_the_paths_in_the_contributing_guide_exist() -> None:
    told = re.findall(
        r"`((?:src|tests|recipes|docs|benchmarks)/[\w/.-]*)`", text_of("CONTRIBUTING.md")
    )
    assert told
    assert [path for path in told if not (ROOT / path).exists()] == []
