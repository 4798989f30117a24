"""What the machine has for a training, as far as was found out before. Light.

torch is asked once, in a process of its own, and what it said is kept in the state folder; until
then a run is planned for the processor.
"""

from __future__ import annotations

import json

from core.files import write_json
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
    """Return what is known of the device that a run would use; asks nobody."""
    return _make_machine_facts(_read_devices(layout), device)


def detect_machine(layout: ProjectPaths, device: str = "auto") -> MachineFacts:
    """Ask torch what there is, keep it, and return the device that a run would use."""
    found = probe_torch().devices
    if found:
        save_devices(layout, found)
    return _make_machine_facts(list(found), device)


def is_machine_known(layout: ProjectPaths) -> bool:
    """Whether torch was asked before."""
    return bool(_read_devices(layout))


def save_devices(layout: ProjectPaths, devices: tuple[DeviceInfo, ...]) -> None:
    """Keep what torch found."""
    layout.state.mkdir(parents=True, exist_ok=True)
    plain = [{"name": one.name, "label": one.label, "memory": one.memory} for one in devices]
    write_json(layout.state / MACHINE_FILE, plain)


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
    """Return the devices that were found before; [] where nobody asked."""
    try:
        told = json.loads((layout.state / MACHINE_FILE).read_text(encoding="utf-8"))
        return [DeviceInfo(name=str(one["name"]), label=str(one["label"]), memory=one["memory"])
                for one in told]  # fmt: skip
    except (OSError, ValueError, TypeError, KeyError):  # never asked, or no longer readable
        return []
