"""Devices and memory of this machine for planning a training. Light.

torch lists the devices once, in a process of its own, and the list is cached in the state folder;
without it a run is planned for the CPU.
"""

from __future__ import annotations

from core.files import parse_json, write_json
from core.paths import ProjectPaths
from studio.diagnostics.system_info import (
    DeviceInfo,
    count_usable_cores,
    get_memory_bytes,
    probe_torch,
)
from training.finetuning.config.facts import MachineFacts

MACHINE_FILE = "machine.json"


def get_machine_facts(layout: ProjectPaths, device: str = "auto") -> MachineFacts:
    """Return the cached facts of the device that a run would use."""
    return _make_machine_facts(_read_devices(layout), device)


def detect_machine(layout: ProjectPaths, device: str = "auto") -> MachineFacts:
    """List the devices with torch, cache them, and return the one that a run would use."""
    found = probe_torch().devices
    if found:
        save_devices(layout, found)
    return _make_machine_facts(list(found), device)


def is_machine_known(layout: ProjectPaths) -> bool:
    """Return whether a list of devices is cached."""
    return bool(_read_devices(layout))


def save_devices(layout: ProjectPaths, devices: tuple[DeviceInfo, ...]) -> None:
    """Cache the list of devices."""
    layout.state.mkdir(parents=True, exist_ok=True)
    plain = [{"name": one.name, "label": one.label, "memory": one.memory} for one in devices]
    write_json(layout.state / MACHINE_FILE, plain, indent=None)


def _make_machine_facts(devices: list[DeviceInfo], device: str) -> MachineFacts:
    fastest = devices[0].name if devices else "cpu"
    wanted = fastest if device in ("", "auto") else device.lower()
    wanted = "cuda:0" if wanted == "cuda" else wanted
    own = next((one.memory for one in devices if one.name == wanted), None)
    kind = wanted.split(":")[0]
    return MachineFacts(
        device=wanted,
        memory=get_memory_bytes()[0] if wanted == "cpu" else own,
        cores=count_usable_cores(),
        gpus=sum(one.name.split(":")[0] == kind for one in devices) if kind != "cpu" else 0,
    )


def _read_devices(layout: ProjectPaths) -> list[DeviceInfo]:
    try:
        saved = parse_json((layout.state / MACHINE_FILE).read_text(encoding="utf-8"))
        return [DeviceInfo(name=str(one["name"]), label=str(one["label"]), memory=one["memory"])
                for one in saved]  # fmt: skip
    except (OSError, ValueError, TypeError, KeyError):  # not cached yet, or damaged
        return []
