"""What the machine has for a training, as far as was found out before. Light.

torch is asked once, in a process of its own, and what it said is kept in the state folder; until
then a run is planned for the processor.
"""

from __future__ import annotations

import json

from studio.layout import Layout
from studio.system import FoundDevice, ask_torch, memory_of, usable_cores
from training.manifest import write_json
from training.suggest_facts import MachineFacts

FILE = "machine.json"


def machine_facts(layout: Layout, device: str = "auto") -> MachineFacts:
    """Return what is known of the device that a run would use; asks nobody."""
    return _facts(_known(layout), device)


def ask_machine(layout: Layout, device: str = "auto") -> MachineFacts:
    """Ask torch what there is, keep it, and return the device that a run would use."""
    found = ask_torch().devices
    if found:
        remember_devices(layout, found)
    return _facts(list(found), device)


def is_known(layout: Layout) -> bool:
    """Whether torch was asked before."""
    return bool(_known(layout))


def remember_devices(layout: Layout, devices: tuple[FoundDevice, ...]) -> None:
    """Keep what torch found."""
    layout.state.mkdir(parents=True, exist_ok=True)
    plain = [{"name": one.name, "label": one.label, "memory": one.memory} for one in devices]
    write_json(layout.state / FILE, plain)


def _facts(devices: list[FoundDevice], device: str) -> MachineFacts:
    fastest = devices[0].name if devices else "cpu"
    wanted = fastest if device in ("", "auto") else device.lower()
    wanted = "cuda:0" if wanted == "cuda" else wanted
    own = next((one.memory for one in devices if one.name == wanted), None)
    kind = wanted.split(":")[0]
    return MachineFacts(
        device=wanted,
        memory=memory_of()[0] if wanted == "cpu" else own,
        cores=usable_cores(),
        gpus=sum(one.name.split(":")[0] == kind for one in devices) if kind != "cpu" else 0,
    )


def _known(layout: Layout) -> list[FoundDevice]:
    """Return the devices that were found before; [] where nobody asked."""
    try:
        told = json.loads((layout.state / FILE).read_text(encoding="utf-8"))
        return [FoundDevice(name=str(one["name"]), label=str(one["label"]), memory=one["memory"])
                for one in told]  # fmt: skip
    except (OSError, ValueError, TypeError, KeyError):  # never asked, or no longer readable
        return []
