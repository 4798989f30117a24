"""Requests of the SV2TTS tasks that run in a worker."""

from __future__ import annotations

from dataclasses import dataclass, field

from core.errors import InvalidValueError

LAYOUTS = ("auto", "librispeech", "libritts", "vctk", "ljspeech", "folders")


@dataclass(frozen=True, slots=True, kw_only=True)
class PreprocessRequest:
    """Make a synthesizer dataset from recordings with texts.

    source: folder of the recordings;  dataset: name;  layout: one of LAYOUTS;  subfolders: of the
    source, () for all;  alignments: split at the silences of *.alignment.txt where there are any;
    trim: shorten pauses;  skip_existing: keep what an earlier run made;  model: whose synthesizer
    is to be finetuned, "" for the published sound and letters.
    """

    source: str
    dataset: str
    layout: str = "auto"
    subfolders: tuple[str, ...] = ()
    alignments: bool = True
    trim: bool = True
    skip_existing: bool = False
    model: str = ""

    def __post_init__(self) -> None:
        if self.layout not in LAYOUTS:
            raise InvalidValueError(
                f"layout is {self.layout!r}; it must be one of {', '.join(LAYOUTS)}."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedRequest:
    """Embed each utterance of a dataset. encoder: a run, a model, a file, or resemblyzer."""

    dataset: str
    encoder: str = "resemblyzer"
    skip_existing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class VocoderPreprocessRequest:
    """Predict the mels of a dataset with a synthesizer, for its vocoder. synthesizer: a run or a
    file."""

    dataset: str
    synthesizer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoRequest:
    """The model of a demo.

    encoder, synthesizer, vocoder: files, the last one optional;  model: an installed one, where no
    files are given, "" for the first of the engine;  cpu: do not use a GPU.
    """

    encoder: str = ""
    synthesizer: str = ""
    vocoder: str = ""
    model: str = ""
    cpu: bool = False

    def __post_init__(self) -> None:
        files = (self.encoder, self.synthesizer, self.vocoder)
        if any(files) and not (self.encoder and self.synthesizer):
            raise InvalidValueError(
                "A demo from files needs an encoder and a synthesizer. Give the files of both.",
                cli_hint="Their options are --enc_model_fpath and --syn_model_fpath.",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoResult:
    """One spoken text. problems: of its attention, () for none."""

    path: str
    seconds: float
    seed: int
    embedding_norm: float
    problems: tuple[str, ...] = ()


TOOLBOX_VOCODERS = ("auto", "istft", "wavernn", "griffin_lim")


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolboxRequest:
    """Embed an utterance and, where there is a text, speak it in its voice.

    clip: an upload;  model: "" for the first of the engine;  vocoder: one of TOOLBOX_VOCODERS.
    """

    clip: str
    text: str = ""
    model: str = ""
    vocoder: str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.vocoder not in TOOLBOX_VOCODERS:
            raise InvalidValueError(
                f"vocoder is {self.vocoder!r}; it must be one of {', '.join(TOOLBOX_VOCODERS)}."
            )
        if not 0 <= self.seed < 2**63:
            raise InvalidValueError(f"seed is {self.seed}; it must be from 0 to 2^63 - 1.")


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolboxResult:
    """What the toolbox made. clip: the spoken text, "" without one;  pictures: caption -> file;
    problems: of the attention."""

    model: str
    utterance: str
    clip: str = ""
    seconds: float = 0.0
    seed: int = 0
    pictures: dict[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetResult:
    """What was made. left_out: recording or utterance -> the reason."""

    name: str
    folder: str
    utterances: int
    hours: float
    left_out: dict[str, str] = field(default_factory=dict)
