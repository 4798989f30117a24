"""testudo read: how a clip was spoken."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from studio.cli_flags import Parser
from studio.cli_output import say, say_json
from studio.tags import read_record
from studio.takes import TakeRecord


def add_command(commands: argparse._SubParsersAction[Parser], arguments: Sequence[str]) -> None:
    """Add `read` to the program."""
    parser = commands.add_parser("read", help="print the settings that a clip was spoken with")
    parser.add_argument("file", metavar="FILE", help="a clip that Testudo spoke")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Print the settings in a clip."""
    record = read_record(Path(parsed.file))
    if parsed.json:
        say_json(record)
        return 0
    for line in told(record):
        say(line)
    return 0


def told(record: TakeRecord) -> list[str]:
    """Describe a record in lines for people."""
    lines = [
        f"text         {record.text}",
        f"voice        {record.voice}",
        f"engine       {record.engine}, {record.bundle} ({record.weights_id})",
        f"seed         {record.seed}",
        f"spoken       {record.created}, {record.duration_s:.1f} s long",
        f"machine      {record.machine.device}, {record.machine.threads} threads, "
        f"torch {record.machine.torch}",
        f"options      {_pairs(record.options)}",
        f"delivery     {_pairs(record.delivery)}",
        f"times        {_pairs({name: f'{took:.2f} s' for name, took in record.took.items()})}",
    ]
    if record.score is not None:
        lines.append(f"candidate    {record.candidate}, score {record.score:.4g}")
    if record.latents is not None:
        lines.append("latents      inside (the voice can be spoken with by whoever has this file)")
    return lines + [f"warning      {warning}" for warning in record.warnings]


def _pairs(values: Mapping[str, object]) -> str:
    return ", ".join(
        f"{name} {value if value != '' else repr('')}" for name, value in values.items()
    )
