"""The report of the system panel and of `testudo doctor`, without private data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from core.formatting import format_bytes
from studio.diagnostics.checks import HealthCheckResult
from studio.diagnostics.system_info import SystemInfo, redact_private_data

STATE_LABELS = MappingProxyType({"good": "good ", "note": "note ", "fault": "FAULT"})


def format_report(system: SystemInfo, findings: Sequence[HealthCheckResult], root: Path) -> str:
    """Return system facts and findings as text, without the user's paths and names."""
    return redact_private_data(
        "\n".join([*format_system_lines(system), "", *format_finding_lines(findings)]), root
    )


def format_system_lines(system: SystemInfo) -> list[str]:
    """Describe the machine and the installation, one fact a line."""
    facts = collect_system_facts(system)
    width = max(map(len, facts))
    return [f"{name:{width}}  {value}" for name, value in facts.items()]


def collect_system_facts(system: SystemInfo) -> Mapping[str, str]:
    """Return every fact by its name."""
    torch = system.torch
    facts = {
        "Testudo": system.testudo,
        "Python": system.python,
        "System": system.platform,
        "Processor": f"{system.cores} cores",
        "Memory": f"{format_bytes(system.memory)}, {format_bytes(system.memory_free)} free",
        "torch": f"{torch.torch or 'not loaded'}, torchaudio {torch.torchaudio or 'not loaded'}",
        "CUDA": torch.cuda or "none",
        "ffmpeg": system.ffmpeg or "not installed",
    }
    for device in torch.devices:
        memory = f", {format_bytes(device.memory)}" if device.memory else ""
        facts[f"Device {device.name}"] = f"{device.label}{memory}"
    facts |= {f"Package {name}": version for name, version in system.packages.items()}
    for folder in system.folders:
        free = f"{format_bytes(folder.free)} free"
        facts[f"Folder {folder.name}"] = f"{folder.path}, {free}"
    return facts


def format_finding_lines(findings: Sequence[HealthCheckResult]) -> list[str]:
    """Return one line per check, and below each fault the command that fixes it."""
    width = max((len(finding.name) for finding in findings), default=0)
    lines = []
    for finding in findings:
        lines.append(f"{STATE_LABELS[finding.state]}  {finding.name:{width}}  {finding.message}")
        if finding.fix:
            lines.append(f"{'':7}{'':{width}}  fix:  {finding.fix}")
    return lines
