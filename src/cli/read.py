"""testudo read: how a clip was spoken."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from cli.options import Parser
from cli.output import print_json, print_line
from studio.schemas.take_metadata import TakeMetadata
from studio.synthesis.audio_metadata import read_metadata


def add_command(commands: argparse._SubParsersAction[Parser], arguments: Sequence[str]) -> None:
    """Add `read` to the program."""
    parser = commands.add_parser("read", help="print the settings that a clip was spoken with")
    parser.add_argument("file", metavar="FILE", help="a clip that Testudo spoke")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run_read)


def run_read(parsed: argparse.Namespace) -> int:
    """Print the settings in a clip."""
    record = read_metadata(Path(parsed.file))
    if parsed.json:
        print_json(record)
        return 0
    for line in format_metadata_lines(record):
        print_line(line)
    return 0


def format_metadata_lines(record: TakeMetadata) -> list[str]:
    """Describe a record in lines for people."""
    times = {name: f"{took:.2f} s" for name, took in record.took.items()}
    lines = [
        f"text         {record.text}",
        f"voice        {record.voice}",
        f"engine       {record.engine}, {record.bundle} ({record.weights_id})",
        f"seed         {record.seed}",
        f"spoken       {record.created}, {record.duration_s:.1f} s long",
        f"machine      {record.machine.device}, {record.machine.threads} threads, "
        f"torch {record.machine.torch}",
        f"options      {_format_pairs(record.options)}",
        f"delivery     {_format_pairs(record.delivery)}",
        f"times        {_format_pairs(times)}",
    ]
    if record.score is not None:
        lines.append(f"candidate    {record.candidate}, score {record.score:.4g}")
    if record.latents is not None:
        lines.append("latents      inside (the voice can be spoken with by whoever has this file)")
    return lines + [f"warning      {warning}" for warning in record.warnings]


def _format_pairs(values: Mapping[str, object]) -> str:
    return ", ".join(
        f"{name} {value if value != '' else repr('')}" for name, value in values.items()
    )
