"""No code runs a shell, evaluates text or loads what could run code; ffmpeg has one builder."""

from __future__ import annotations

import ast
import io
import subprocess
from pathlib import Path
from typing import Any, ClassVar

import pytest

from audio import ffmpeg as ffmpeg_module
from audio.ffmpeg import FfmpegError, change_tempo, convert_to_wav, encode_aac

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted(
    [
        *ROOT.glob("*.py"),
        *(path for top in ("src", "recipes") for path in (ROOT / top).rglob("*.py")),
    ]
)
FFMPEG_MODULE = ROOT / "src" / "audio" / "ffmpeg.py"
FORBIDDEN = frozenset(
    {
        *("eval", "exec", "os.system", "os.popen", "os.startfile", "subprocess.getoutput"),
        *("subprocess.getstatusoutput", "pickle.load", "pickle.loads", "pickle.Unpickler"),
        *("marshal.load", "marshal.loads", "shelve.open", "dill.load", "dill.loads"),
        *("joblib.load", "cloudpickle.load", "cloudpickle.loads", "pandas.read_pickle"),
        *("yaml.load", "yaml.load_all", "yaml.full_load", "yaml.unsafe_load", "tempfile.mktemp"),
        *("torch.hub.load", "torch.jit.load", "torch.package.PackageImporter", "runpy.run_path"),
    }
)
PROCESS_CALLS = frozenset(f"subprocess.{name}" for name in ("run", "Popen", "call", "check_output"))


def dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def constant(call: ast.Call, keyword: str) -> Any:
    """The value of a keyword argument; None where it is absent or not a constant."""
    found = next((item.value for item in call.keywords if item.arg == keyword), None)
    return found.value if isinstance(found, ast.Constant) else None


def find_unsafe(tree: ast.AST) -> list[str]:
    """Name every call that runs a shell, evaluates text or loads what could run code."""
    found = []
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call):
            continue
        name = dotted(call.func)
        given = {item.arg for item in call.keywords}
        unsafe = name in FORBIDDEN
        unsafe |= "shell" in given and constant(call, "shell") is not False
        unsafe |= name == "torch.load" and constant(call, "weights_only") is not True
        unsafe |= "allow_pickle" in given and constant(call, "allow_pickle") is not False
        unsafe |= "trust_remote_code" in given and constant(call, "trust_remote_code") is not False
        unsafe |= name in PROCESS_CALLS and bool(call.args) and is_text(call.args[0])
        if unsafe:
            found.append(f"line {call.lineno}: {name}")
    return found


def is_text(node: ast.AST) -> bool:
    """A command as one text is parsed by a shell or by Windows."""
    return isinstance(node, ast.JoinedStr) or (
        isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def names_ffmpeg(tree: ast.AST) -> list[int]:
    """Lines that import ffmpeg-python or name the program in a list of arguments."""
    lines = []
    for node in ast.walk(tree):
        names = [item.name for item in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        items = node.elts if isinstance(node, (ast.List, ast.Tuple)) else []
        first = items[0] if items else None
        names += [first.value] if isinstance(first, ast.Constant) else []
        if any(name in ("ffmpeg", "ffprobe") for name in names):
            lines.append(node.lineno)
    return lines


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_code_runs_a_shell_or_loads_what_could_run_code(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert find_unsafe(tree) == []
    if path != FFMPEG_MODULE:
        assert names_ffmpeg(tree) == [], "call the functions of audio.ffmpeg"


def test_unsafe_calls_are_noticed() -> None:
    for unsafe in (
        "eval(x)", "os.system('x')", "subprocess.run(x, shell=True)", "subprocess.run(x, shell=y)",
        "torch.load(x)", "torch.load(x, weights_only=False)", "yaml.load(x)",
        "np.load(x, allow_pickle=True)", "f(trust_remote_code=True)", "subprocess.run('ls')",
        "subprocess.Popen(f'ls {x}')", "pickle.loads(x)",
    ):  # fmt: skip
        assert find_unsafe(ast.parse(unsafe)), unsafe
    safe = "torch.load(x, weights_only=True); np.load(x, allow_pickle=False); subprocess.run([x])"
    assert find_unsafe(ast.parse(safe)) == []
    assert names_ffmpeg(ast.parse("import ffmpeg")) and names_ffmpeg(ast.parse('["ffmpeg", x]'))


class RecordedProcess:
    """A process that fails at once, and the command that it was started with."""

    commands: ClassVar[list[list[str]]] = []
    returncode = 1

    def __init__(self, command: list[str], **options: Any) -> None:
        assert isinstance(command, list) and not options.get("shell")
        self.commands.append(command)
        self.stdin = self.stdout = io.BytesIO()

    def communicate(self, *, timeout: float) -> tuple[bytes, None]:
        assert 0 < timeout <= 1
        return b"", None

    def kill(self) -> None:
        pass

    def __enter__(self) -> RecordedProcess:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def test_every_call_of_ffmpeg_reads_files_and_pipes_only_and_no_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    RecordedProcess.commands.clear()
    monkeypatch.setattr(ffmpeg_module, "find_ffmpeg", lambda: "/usr/bin/ffmpeg")
    monkeypatch.setattr(subprocess, "Popen", RecordedProcess)
    for call in (
        lambda: convert_to_wav(
            tmp_path / "a", max_duration_s=9, timeout_s=9, target=tmp_path / "b", max_bytes=9
        ),
        lambda: encode_aac(b"", 24_000),
        lambda: change_tempo(b"", 24_000, 1.5),
    ):
        with pytest.raises(FfmpegError):
            call()
    assert len(RecordedProcess.commands) == 3
    for command in RecordedProcess.commands:
        before_input = command[: command.index("-i")]
        assert "-nostdin" in before_input
        at = before_input.index("-protocol_whitelist")
        assert before_input[at + 1] == "file,pipe"


def test_the_player_of_a_stream_reads_its_pipe_only(monkeypatch: pytest.MonkeyPatch) -> None:
    RecordedProcess.commands.clear()
    monkeypatch.setattr("shutil.which", lambda program: f"/usr/bin/{program}")
    monkeypatch.setattr(subprocess, "Popen", RecordedProcess)
    ffmpeg_module.start_player("wav")
    ((program, *options),) = RecordedProcess.commands
    assert program == "/usr/bin/ffplay"
    assert options[options.index("-protocol_whitelist") + 1] == "pipe"
    assert options[-4:] == ["-f", "wav", "-i", "pipe:0"]


def test_ffmpeg_is_started_in_one_place_with_a_time_limit() -> None:
    tree = ast.parse(FFMPEG_MODULE.read_text(encoding="utf-8"))
    starters = {
        function.name
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef)
        for call in ast.walk(function)
        if isinstance(call, ast.Call) and dotted(call.func) in PROCESS_CALLS
    }
    player = "start_player"  # ends with its input, which the caller closes
    assert starters == {"_run", "play_file", "read_ffmpeg_version", player}
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and dotted(call.func) in ("_run", "subprocess.run"):
            assert {"timeout", "timeout_s"} & {item.arg for item in call.keywords}
